import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// Connectors of one identity side by side, as processes with certificates of their own.
@Suite(.serialized) struct ReplicaTests {
    /// Hosts that have begun a request, and do not answer it.
    private final class Held: Sendable {
        private let all = Mutex<[String]>([])

        func add(_ name: String) { all.withLock { $0.append(name) } }
        var names: [String] { all.withLock { $0 } }
    }

    /// A service, and connectors by their instances' names, each with an internal host that says it.
    private final class Pair {
        let rig: EnrolmentRig
        private(set) var processes: [String: LoggedProcess] = [:]
        let backends: [String: TestServer]
        let held = Held()

        init() throws {
            rig = try EnrolmentRig()
            let held = self.held
            func backend(_ name: String) -> TestServer {
                TestServer { socket, _ in
                    while true {
                        let head = String(
                            decoding: socket.receive { SimpleHTTP.headEnd($0[...]) != nil },
                            as: UTF8.self
                        )
                        guard !head.isEmpty else { return socket.close() }
                        if head.hasPrefix("GET /hold") {
                            // Until the connector closes the connection.
                            held.add(name)
                            _ = socket.receiveToEnd()
                            return socket.close()
                        }
                        socket.send(TestServer.ok(name))
                    }
                }
            }
            backends = ["a": backend("a"), "b": backend("b")]
        }

        func stop() {
            for process in processes.values { process.stop(SIGKILL) }
            rig.stop()
            for backend in backends.values { backend.stop() }
        }

        /// - Parameters:
        ///   - file: the name of its files; its instance's as well, unless it is given.
        ///   - replicas: lines of its file.
        func write(_ file: String, _ replicas: String? = nil, port: Int? = nil, more: String = "") throws {
            let text = """
                subaccount: test
                \(replicas ?? "replicas: active\ninstance: \(file)")
                tunnel:
                  service: localhost:\(rig.tunnelPort)
                  certificate: \(file)/connector.pem
                  private-key: \(file)/connector.key
                  trusted-ca: \(file)/service-ca.pem
                admin: {socket: \(file).sock, listen: "off"}
                systems:
                  - {virtual-host: "backend.test:80", internal-host: "localhost:9", protocol: HTTP, resources: [{path: /, access: path-and-sub-paths}]}
                \(more)
                """.replacing("localhost:9\"", with: "127.0.0.1:\(port ?? backends[file]?.port ?? 1)\"")
            try text.write(to: rig.folder.appending(path: "\(file).conf"), atomically: true, encoding: .utf8)
        }

        func enrol(_ file: String) throws {
            let result = try Rig.run(["enrol", try rig.token(), "--config", "\(file).conf"], rig.folder)
            guard result.status == 0 else { throw RigError(result.output) }
        }

        func start(_ file: String) throws {
            let mark = rig.cloud.mark
            processes[file] = try LoggedProcess(["run", "--config", "\(file).conf"], folder: rig.folder)
            try rig.cloud.wait(for: "tunnel connected", after: mark, count: 2)
        }

        /// All of that.
        func begin(_ file: String, port: Int? = nil, more: String = "") throws {
            try write(file, port: port, more: more)
            try enrol(file)
            try start(file)
        }

        func kill(_ file: String) {
            processes[file]?.stop(SIGKILL)
            processes[file] = nil
        }

        func ask(_ path: String = "/", _ arguments: String...) throws -> String {
            try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-m", "\(Socket.timeout)", "-x", "127.0.0.1:\(rig.proxyPort)"] + arguments
                    + ["http://backend.test\(path)"],
                rig.folder
            ).output
        }

        var status: String { get throws { try rig.run("status", "--cloud", "--socket", "cloud.sock").output } }
    }

    @Test("Requests go to both, and to the one that is free; of one that dies, only what it was doing is lost")
    func sideBySide() throws {
        let pair = try Pair()
        defer { pair.stop() }
        for name in ["a", "b"] { try pair.begin(name) }
        var counts: [String: Int] = [:]
        for _ in 0..<30 { counts[try pair.ask(), default: 0] += 1 }
        #expect(counts["a", default: 0] > 0 && counts["b", default: 0] > 0 && counts.count == 2, "\(counts)")
        let status = try pair.status
        #expect(
            status.contains("instance a") && status.contains("instance b"),
            "\(status)"
        )
        // One is busy.
        let waiting = try Socket(connectingTo: pair.rig.proxyPort)
        waiting.send("GET http://backend.test/hold HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(Rig.eventually { !pair.held.names.isEmpty })
        let busy = try #require(pair.held.names.first)
        let free = busy == "a" ? "b" : "a"
        for _ in 0..<20 { #expect(try pair.ask() == free) }
        let died = ContinuousClock.now
        pair.kill(busy)
        let answer = String(decoding: waiting.receive { SimpleHTTP.headEnd($0[...]) != nil }, as: UTF8.self)
        #expect(ContinuousClock.now - died < .seconds(1))
        #expect(answer.hasPrefix("HTTP/1.1 502 "), "\(answer)")
        for _ in 0..<20 { #expect(try pair.ask() == free) }
        try pair.start(busy)
        counts = [:]
        for _ in 0..<30 { counts[try pair.ask(), default: 0] += 1 }
        #expect(counts.count == 2, "\(counts)")
        // Each drains by itself: no request fails.
        pair.processes[free]?.signal(SIGTERM)
        for _ in 0..<20 {
            let answer = try pair.ask()
            #expect(["a", "b"].contains(answer))
        }
        #expect(pair.processes[free]?.waitUntilExit() == 0)
        #expect(try pair.ask() == busy)
    }

    @Test("A connector that serves alone takes over from all; one of the same instance, from that one only")
    func takeOver() throws {
        let pair = try Pair()
        defer { pair.stop() }
        for name in ["a", "b"] { try pair.begin(name) }
        // A copy of b's files, as of a machine that was cloned.
        try FileManager.default.copyItem(
            at: pair.rig.folder.appending(path: "b"),
            to: pair.rig.folder.appending(path: "copy")
        )
        try pair.write("copy", "replicas: active\ninstance: b", port: pair.backends["b"]?.port)
        try pair.start("copy")
        try pair.processes["b"]?.wait(for: "superseded by a later session")
        #expect(try pair.status.contains("instance a"))
        try pair.write("alone", "", port: pair.backends["b"]?.port)
        try pair.enrol("alone")
        try pair.start("alone")
        try pair.processes["a"]?.wait(for: "superseded by a later session")
        #expect(try !pair.status.contains("instance a"))
    }

    @Test(
        "Who is not configured like the others is shown, and left out where that is asked; who does not reach a system, too"
    )
    func differences() throws {
        let pair = try Pair()
        defer { pair.stop() }
        // From now on its file names the ports that it has.
        try pair.rig.restartCloud()
        for name in ["a", "b"] {
            // The same, but for where b finds the system, and that is nothing.
            try pair.begin(name, port: name == "b" ? 1 : nil, more: "check: {interval: 1s}")
        }
        #expect(try Rig.eventually { try pair.status.contains("degraded: reachable through 1 of 2 connectors") })
        #expect(try pair.status.contains("configurations differ"))
        let file = pair.rig.folder.appending(path: "cloud.conf")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacing("tunnel: {", with: "tunnel: {different-replicas: leave-out, ")
            .write(to: file, atomically: true, encoding: .utf8)
        let reload = try pair.rig.run("reload", "--socket", "cloud.sock")
        #expect(reload.status == 0, "\(reload.output)")
        #expect(try pair.status.contains("LEFT OUT"))
        for _ in 0..<20 { #expect(try pair.ask() == "a") }
        // Put right, it is in again.
        try pair.write("b", port: pair.backends["a"]?.port, more: "check: {interval: 1s}")
        #expect(try pair.rig.run("reload", "--socket", "b.sock").status == 0)
        #expect(try Rig.eventually { try !pair.status.contains("LEFT OUT") })
        #expect(try Rig.eventually { try pair.status.contains("reachable") && !pair.status.contains("degraded") })
    }

    @Test("One of several is taken out by its instance; the others serve on")
    func revoked() throws {
        let pair = try Pair()
        defer { pair.stop() }
        for name in ["a", "b"] { try pair.begin(name) }
        func revoke(_ instance: String) throws -> (status: Int32, output: String) {
            let arguments = ["--subaccount", "test", "--instance", instance, "--socket", "cloud.sock"]
            return try Rig.run(["enrol", "revoke"] + arguments, pair.rig.folder)
        }
        #expect(try revoke("c").output.contains("instance c"))
        #expect(try revoke("a b").status != 0)
        let revoked = try revoke("a")
        #expect(revoked.status == 0 && revoked.output.contains("1 certificate revoked, 2 tunnels cut"), "\(revoked)")
        #expect(try Rig.eventually { try !pair.status.contains("instance a") })
        for _ in 0..<20 { #expect(try pair.ask() == "b") }
        #expect(try revoke("a").output.contains("there is no valid certificate"))
    }

    @Test("Without a certificate that names the instance nothing starts, and the file says what to do")
    func certificates() throws {
        let pair = try Pair()
        defer { pair.stop() }
        try pair.write("a", "")
        try pair.enrol("a")
        try pair.write("a")
        let found = try pair.rig.run("check-config", "a.conf")
        #expect(found.status != 0 && found.output.contains("is for no instance, but replicas: active needs one for a"))
        // What check-config refuses, a start does, and a reload.
        let started = try pair.rig.run("run", "--config", "a.conf")
        #expect(
            started.status != 0 && started.output.contains("is for no instance, but replicas: active needs one for a")
        )
        try pair.write("a", "")
        try pair.start("a")
        try pair.write("a")
        let reloaded = try pair.rig.run("reload", "--socket", "a.sock")
        #expect(reloaded.status != 0 && reloaded.output.contains("is for no instance"), "\(reloaded.output)")
        for (lines, text) in [
            ("replicas: activ", "did you mean"),
            ("replicas: active\ninstance: \"a b\"", "instance: must be 1 to 63 letters"),
            ("instance: a", "has no meaning without replicas: active"),
        ] {
            try pair.write("a", lines)
            #expect(try pair.rig.run("check-config", "a.conf").output.contains(text))
        }
    }
}
