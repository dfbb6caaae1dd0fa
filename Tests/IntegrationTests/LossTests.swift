import ConnectorTestSupport
import Foundation
import Testing

/// What is lost when configurations change, tunnels are replaced and processes come and go under load. Each test prints
/// its figures.
@Suite(.serialized)
struct LossTests {
    static let connections = Sanitizer.isOn ? 8 : 32

    /// Until so many more requests are answered.
    static func wait(_ load: Load, answers: Int) {
        let target = load.soFar.answered + answers
        let end = Date() + 60
        while load.soFar.answered < target, Date() < end { usleep(2000) }
    }

    @Test("A hundred reloads and twenty rotations under load lose not one request")
    func reloads() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), connections: 2)
        let load = Load(ports: [rig.proxyPort], connections: Self.connections)
        for round in 1...100 {
            if round % 3 == 0 {
                try rig.rewrite { $0 + Rig.system("other\(round).test:80", port: backend.port) }
            }
            if round % 5 == 0 { #expect(try rig.control("rotate", "--config", "connector0.conf").status == 0) }
            let result = try rig.control("reload", "--config", "connector0.conf")
            #expect(result.status == 0, "\(result.output)")
            if round % 10 == 0 { #expect(try rig.control("reload", "--cloud", "--config", "cloud.conf").status == 0) }
        }
        Self.wait(load, answers: 100)
        let result = load.stop()
        print("100 reloads, 20 rotations, 10 reloads of the service: \(result)")
        #expect(result.lost == 0 && result.refused == 0 && result.answered == result.sent, "\(result)")
        #expect(result.answered > 500)
        let status = try rig.control("status", "--config", "connector0.conf")
        #expect(status.output.contains("100 reloads") && status.output.contains("state          Connected"))
        #expect(connector.log.filter { $0.contains("tunnels replaced") }.count == 20)
    }

    @Test("A thousand SIGHUPs in a row lose nothing, and the last file is in force")
    func signals() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), connections: 2)
        let load = Load(ports: [rig.proxyPort], connections: 8)
        for _ in 0..<1000 { connector.signal(SIGHUP) }
        try rig.rewrite { $0 + Rig.system("last.test:80", port: backend.port) }
        connector.signal(SIGHUP)
        let end = Date() + 20
        while try !rig.curl("http://last.test/").hasPrefix("HTTP/1.1 200"), Date() < end {}
        Self.wait(load, answers: 50)
        let result = load.stop()
        #expect(result.lost == 0 && result.refused == 0, "\(result)")
    }

    @Test("SIGTERM lets a connector finish what is in flight, take nothing new, and end with status 0")
    func drainConnector() throws {
        let gate = DispatchSemaphore(value: 0)
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer.http { _, _ in
            isAsked.signal()
            gate.wait()
            return TestServer.ok("late")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port))
        let slow = try rig.connect()
        slow.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        connector.signal(SIGTERM)
        try rig.cloud.wait(for: "tunnel draining")
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 503"))
        gate.signal()
        #expect(slow.receive(through: "late").hasPrefix("HTTP/1.1 200"))
        #expect(connector.waitUntilExit() == 0)
    }

    @Test("A connector that has to finish more than its limit allows cuts the rest")
    func drainLimit() throws {
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer { socket, _ in
            isAsked.signal()
            _ = socket.receiveToEnd()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), extra: "times: {drain: 1s}")
        let slow = try rig.connect()
        slow.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        let start = Date()
        #expect(connector.stop() == 0)
        #expect(Date().timeIntervalSince(start) < 15)
        #expect(slow.receive(through: "processed.\n").hasPrefix("HTTP/1.1 502"))
    }

    @Test("SIGTERM lets a service finish what is in flight; connections that are kept end with a farewell")
    func drainService() throws {
        let gate = DispatchSemaphore(value: 0)
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer.http { head, _ in
            if head.contains("/slow") {
                isAsked.signal()
                gate.wait()
            }
            return TestServer.ok("done")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let (slow, kept) = (try rig.connect(), try rig.connect())
        kept.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(!kept.receive(through: "done").lowercased().contains("connection: close"))
        slow.send("GET http://backend.test/slow HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        // A request that is on its way is answered, and the answer says that the connection ends.
        kept.send("GET http://backend.test/ HTTP/1.1\r\n")
        rig.cloud.signal(SIGTERM)
        try rig.cloud.wait(for: "connectivity service draining")
        kept.send("Host: backend.test\r\n\r\n")
        #expect(kept.receive(through: "done").lowercased().contains("connection: close"))
        gate.signal()
        #expect(slow.receive(through: "done").lowercased().contains("connection: close"))
        #expect(rig.cloud.waitUntilExit() == 0)
    }

    @Test("A connector that is asked to stop in the moment in which its tunnel comes up stops")
    func stopAtOnce() throws {
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: "  []").stop()
        // Which of the two comes first differs from round to round.
        for _ in 0..<20 { #expect(try rig.restartConnector().stop() == 0) }
    }

    /// Two services behind one name and a connector with a tunnel to each.
    final class Pair {
        let rig: Rig
        let backend = Load.backend()
        var second: LoggedProcess
        let secondPort: Int
        let connector: LoggedProcess

        init() throws {
            rig = try Rig()
            let hosts = "127.0.0.1 localhost\n127.0.0.2 localhost\n"
            try hosts.write(to: rig.folder.appending(path: "hosts"), atomically: true, encoding: .utf8)
            let text = """
                subaccount: test
                proxy: {listen: "127.0.0.1:0"}
                tunnel: {listen: "127.0.0.2:\(rig.tunnelPort)", certificate: service.pem, private-key: service.key, trusted-ca: ca.pem}
                admin: {socket: cloud2.sock}
                """
            try text.write(to: rig.folder.appending(path: "cloud2.conf"), atomically: true, encoding: .utf8)
            second = try LoggedProcess(["cloud", "--config", "cloud2.conf"], folder: rig.folder)
            let line = try second.wait(for: "connectivity service started")
            secondPort = line.split(separator: "\"").compactMap { Int($0) }[0]
            // The proxy's port again after a restart.
            try text.replacingOccurrences(of: "127.0.0.1:0", with: "127.0.0.1:\(secondPort)")
                .write(to: rig.folder.appending(path: "cloud2.conf"), atomically: true, encoding: .utf8)
            try rig.startConnector(systems: Rig.system(port: backend.port)).stop(SIGKILL)
            connector = try rig.restartConnector(wrapper: Self.withHosts)
            try second.wait(for: "tunnel connected")
        }

        static let withHosts = [
            "/usr/bin/unshare", "--mount", "sh", "-c", "mount --bind hosts /etc/hosts && exec \"$0\" \"$@\"",
        ]

        func restartSecond() throws {
            second = try LoggedProcess(["cloud", "--config", "cloud2.conf"], folder: rig.folder)
            try second.wait(for: "tunnel connected")
        }

        func stop() {
            second.stop(SIGKILL)
            rig.stop()
            backend.stop()
        }
    }

    /// Mounting needs root.
    static let canMount = geteuid() == 0

    @Test("Restarting one of two services loses nothing that cannot be sent again", .enabled(if: canMount))
    func restartService() throws {
        let pair = try Pair()
        defer { pair.stop() }
        let load = Load(ports: [pair.rig.proxyPort, pair.secondPort], connections: 8)
        let steady = Load(ports: [pair.rig.proxyPort], connections: 8)
        for _ in 0..<3 {
            Self.wait(load, answers: 50)
            #expect(pair.second.stop(SIGTERM) == 0)
            Self.wait(load, answers: 50)
            try pair.restartSecond()
        }
        let (result, other) = (load.stop(), steady.stop())
        print("3 restarts of one of two services: \(result); beside it: \(other)")
        #expect(result.lost == 0, "\(result)")
        #expect(other.lost == 0 && other.refused == 0, "\(other)")
    }

    @Test(
        "SIGKILL of one of two services harms no other request, and its clients are back at once",
        .enabled(if: canMount)
    )
    func killService() throws {
        let pair = try Pair()
        defer { pair.stop() }
        let steady = Load(ports: [pair.rig.proxyPort], connections: 8)
        let load = Load(ports: [pair.secondPort, pair.rig.proxyPort], connections: 8)
        Self.wait(load, answers: 50)
        pair.second.stop(SIGKILL)
        let killed = Date()
        let before = load.soFar
        Self.wait(load, answers: 8)
        let back = Date().timeIntervalSince(killed)
        let (result, other) = (load.stop(), steady.stop())
        print("SIGKILL of one of two services: \(result); beside it: \(other); back after \(back) s")
        #expect(other.lost == 0 && other.refused == 0, "\(other)")
        // What was in flight on the killed one is gone: one request on each connection at most.
        #expect(result.lost - before.lost <= 8)
        // A fraction of a second where the machine has time for it; the figure is printed.
        #expect(back < 5)
    }

    @Test("A second connector takes over without loss, and the first one stands by and comes back")
    func takeOver() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let first = try rig.startConnector(systems: Rig.system(port: backend.port), connections: 2)
        try rig.rewrite { $0.replacingOccurrences(of: "connector.sock", with: "second.sock") }
        let load = Load(ports: [rig.proxyPort], connections: 8)
        Self.wait(load, answers: 50)
        let mark = rig.cloud.mark
        let second = try rig.restartConnector(connections: 2)
        try rig.cloud.wait(for: "session superseded", after: mark)
        try first.wait(for: "superseded by a later session")
        Self.wait(load, answers: 50)
        let takenOver = load.soFar
        #expect(takenOver.lost == 0 && takenOver.refused == 0, "\(takenOver)")
        // The second one stops in order: the first one takes its place.
        let stopMark = rig.cloud.mark
        #expect(second.stop() == 0)
        try rig.cloud.wait(for: "tunnel connected", after: stopMark)
        Self.wait(load, answers: 50)
        let result = load.stop()
        print("take-over by a second connector and back: \(result)")
        #expect(result.lost == 0, "\(result)")
    }
}
