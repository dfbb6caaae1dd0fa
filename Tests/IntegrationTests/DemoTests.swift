import ConnectorTestSupport
import Foundation
import Testing

/// `connectord demo` as a newcomer meets it, and the commands that find it.
@Suite(.serialized) final class DemoTests {
    private let folder: URL
    private var demo: LoggedProcess?
    private var ports: [String: Int] = [:]

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-demo-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        demo?.stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Starts it in the folder `demo`; the log level lets it say when it has a tunnel.
    private func start(_ arguments: [String] = []) throws -> LoggedProcess {
        let all = ["demo", "--directory", "demo", "--proxy-port", "0"]
        let demo = try LoggedProcess(all + ["--log-level", "info"] + arguments, folder: folder)
        self.demo = demo
        return demo
    }

    private func file(_ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: "demo/\(name)"), encoding: .utf8)
    }

    /// The port of a section of cloud.conf.
    private func port(_ section: String) throws -> Int {
        let text = try file("cloud.conf")
        let part = try #require(text.range(of: "\n\(section):\n"))
        let line = text[part.upperBound...].split(separator: "\n").first { $0.contains("listen:") } ?? ""
        return try #require(line.split(separator: ":").last.flatMap { Int($0) })
    }

    private func control(_ arguments: String..., isCloud: Bool = true) throws -> (status: Int32, output: String) {
        try Rig.run(arguments + ["--socket", "demo/run/\(isCloud ? "cloud" : "connector").sock"], folder)
    }

    private func hello() throws -> String {
        try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "-m", "10", "-x", "127.0.0.1:\(port("proxy"))", "http://internalhost:3333/hello"],
            folder
        ).output
    }

    /// After the walk it has started the connector a second time.
    private func waitForWalk(_ demo: LoggedProcess) throws {
        try demo.wait(for: "connector stopped")
        #expect(try Rig.eventually { try hello().contains("Hello World") })
    }

    @Test("It brings tokens, a destination whose check is green, an action with its message, a page and SOCKS5")
    func whole() throws {
        let demo = try start()
        try waitForWalk(demo)
        #expect(try control("token").output.split(separator: ".").count == 3)
        let check = try control("destination", "check", "ON_PREM_HELLO_WORLD")
        #expect(check.status == 0 && check.output.contains("established"), "\(check.output)")
        let action = try control(
            "action",
            "run",
            "--destination",
            "ON_PREM_HELLO_WORLD",
            "--spec",
            "demo/hello.yaml",
            "--operation",
            "hello",
            "--output",
            "subject=/message"
        )
        #expect(action.output == "subject='Hello World'\n")
        #expect(try control("env").output.contains("onpremise_socks5_proxy_port"))
        #expect(try control("destination", "list").output.contains("ON_PREM_HELLO_WORLD"))
        #expect(try !control("destination", "list").output.contains("TYPO"))
        #expect(try control("status", isCloud: false).output.contains("internalhost:3333"))
        let page = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "http://127.0.0.1:\(port("cockpit"))/api/state"],
            folder
        )
        #expect(page.output.contains("internalhost:3333"))
    }

    @Test("Its files are edited while it runs, stay at the end, and are taken up again as they are")
    func files() throws {
        let first = try start()
        try waitForWalk(first)
        let path = folder.appending(path: "demo/connector.conf")
        let edited = try file("connector.conf").replacingOccurrences(of: "path: /hello", with: "path: /other")
        try edited.write(to: path, atomically: true, encoding: .utf8)
        first.signal(SIGHUP)
        #expect(try Rig.eventually { try hello().hasPrefix("Access denied to resource /hello") })
        #expect(first.stop() == 0)
        let destination = "demo/cloud/destinations/provider/destinations/ON_PREM_HELLO_WORLD.properties"
        try FileManager.default.removeItem(at: folder.appending(path: destination))
        let second = try start()
        try second.wait(for: "tunnel connected")
        #expect(try hello().hasPrefix("Access denied to resource /hello"))
        #expect(try file("connector.conf") == edited)
        #expect(try control("destination", "list").output.contains("ON_PREM") == false)
        // Nothing is said of what they do not hold any more.
        #expect(Rig.eventually { second.log.contains { $0.contains("the walk is left out") } })
        #expect(second.log.contains { $0.contains("http://internalhost:3333/other") })
        #expect(!second.log.contains { $0.contains("internalhst") })
        #expect(second.stop() == 0)
    }

    @Test("--demo finds the one that runs, and says what to do where none does")
    func link() throws {
        // Another one of this user's may run beside the tests; only one of them has the link.
        let link = "/tmp/connectord-demo-\(getuid())"
        let demo = try start()
        try waitForWalk(demo)
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
        guard target?.hasSuffix("\(folder.lastPathComponent)/demo") == true else { return }
        #expect(try Rig.run(["status", "--demo"], folder).status == 0)
        #expect(try Rig.run(["status", "--cloud", "--demo"], folder).status == 0)
        #expect(try Rig.run(["destination", "check", "ON_PREM_HELLO_WORLD", "--demo"], folder).status == 0)
        #expect(try Rig.run(["doctor", "--demo"], folder).status == 0)
        let explained = try Rig.run(["explain", "GET", "http://internalhost:3333/hello", "--demo"], folder)
        #expect(explained.status == 0 && explained.output.contains("decision    allowed"), "\(explained.output)")
        #expect(demo.stop() == 0)
        let none = try Rig.run(["status", "--demo"], folder)
        #expect(none.status == 1 && none.output.contains("start one with `connectord demo`"), "\(none.output)")
    }

    @Test("A port that is taken is named, with the way out")
    func taken() throws {
        let holder = TestServer { socket, _ in socket.close() }
        defer { holder.stop() }
        let result = try Rig.run(["demo", "--once", "--proxy-port", "0", "--api-port", "\(holder.port)"], folder)
        #expect(result.status == 1 && result.output.contains("127.0.0.1:\(holder.port)"), "\(result.output)")
        #expect(result.output.contains("--proxy-port 0 has the system choose all ports"), "\(result.output)")
        let backend = try Rig.run(["demo", "--once", "--proxy-port", "0", "--backend-port", "\(holder.port)"], folder)
        #expect(
            backend.output.contains("--backend-port) 127.0.0.1:\(holder.port): address already in use"),
            "\(backend.output)"
        )
        // This late, another thread makes the first key of the token service, and must not be cut off in it.
        for _ in 0..<8 {
            let late = try Rig.run(["demo", "--once", "--proxy-port", "0", "--tunnel-port", "\(holder.port)"], folder)
            #expect(late.status == 1 && late.output.contains("127.0.0.1:\(holder.port)"), "\(late.output)")
        }
        let wrong = try Rig.run(["demo", "--proxy-port", "65536"], folder)
        #expect(wrong.status == 64 && wrong.output.contains("--proxy-port 65536 is not a port"), "\(wrong.output)")
    }
}
