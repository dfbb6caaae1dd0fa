import ConnectorTestSupport
import Foundation
import Testing

/// The dialect of HAProxy's `rhttp`: between our own two ends, and with a real HAProxy of version 3 where the environment
/// names one as `HAPROXY`.
@Suite(.serialized) struct DialectTests {
    private static let haproxy = ProcessInfo.processInfo.environment["HAPROXY"]
    private static let allowed =
        "{path: /api, access: path-and-sub-paths}, {path: /ws, access: path-only, upgrade-allowed: true}"

    @Test("A connector of this dialect is ready at once, says that it is static, and requests go through it")
    func ownEnds() throws {
        let server = WebSocketPeer.echo()
        let plain = TestServer.http { _, _ in TestServer.ok("inside") }
        defer {
            server.stop()
            plain.stop()
        }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system("ws.test:80", port: server.port, Self.allowed)
                + Rig.system(port: plain.port, Self.allowed),
            tunnel: "dialect: haproxy"
        )
        #expect(try rig.curl("http://backend.test/api/x").hasSuffix("inside"))
        #expect(try rig.curl("http://backend.test/other").hasPrefix("HTTP/1.1 403 "))
        var (head, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws", "")
        #expect(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
        peer.send(1, Array("frame".utf8))
        #expect(peer.next() == .init(1, Array("frame".utf8)))
        let own = try rig.control("status", "--socket", "connector.sock").output
        #expect(own.contains("static: the other end does not hear what is exposed"), "\(own)")
        let cloud = try rig.control("status", "--cloud", "--socket", "cloud.sock").output
        #expect(cloud.contains("dialect        haproxy, static"), "\(cloud)")
        #expect(!cloud.contains("no systems are exposed"))
    }

    @Test("It gives its certificate up to those who run the edge: renewal is refused by name")
    func renewal() throws {
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: 1))
        try rig.rewrite { $0.replacingOccurrences(of: "  connections: 1", with: "  dialect: haproxy\n  renew: true") }
        let found = try rig.control("check-config", "connector0.conf")
        #expect(
            found.status != 0 && found.output.contains("tunnel.renew: is not possible with this dialect"),
            "\(found)"
        )
        try rig.rewrite { $0.replacingOccurrences(of: "dialect: haproxy", with: "dialect: haprox") }
        let near = try rig.control("check-config", "connector0.conf")
        #expect(near.output.contains("haproxy"), "\(near)")
    }

    @Test("A certificate without a URI counts for the connector that the configuration names for its subject")
    func namedConnector() throws {
        let rig = try Rig(cloud: "event-loops: 1")
        defer { rig.stop() }
        try Self.makeForeignCertificate(rig.folder)
        let plain = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { plain.stop() }
        /// A service of its own, which trusts both authorities.
        func cloud(_ named: String) throws -> (process: LoggedProcess, ports: [Int]) {
            let text = """
                subaccount: test
                proxy: {listen: "127.0.0.1:0"}
                tunnel:
                  listen: "127.0.0.1:0"
                  certificate: service.pem
                  private-key: service.key
                  trusted-ca: both.pem
                \(named)
                admin: {socket: second.sock}
                """
            try text.write(to: rig.folder.appending(path: "second.conf"), atomically: true, encoding: .utf8)
            let process = try LoggedProcess(["cloud", "--config", "second.conf"], folder: rig.folder)
            let line = try process.wait(for: "connectivity service started")
            return (process, line.split(separator: "\"").compactMap { Int($0) })
        }
        let strict = try cloud("")
        try Self.foreignConnector(rig, plain.port, service: strict.ports[1])
        let refused = try LoggedProcess(["run", "--config", "foreign.conf"], folder: rig.folder)
        try strict.process.wait(for: "names no subaccount and location ID")
        refused.stop(SIGKILL)
        strict.process.stop(SIGKILL)
        let subject = "subject: \"CN=plant4,O=Example\""
        let other = try cloud("  connectors: [{\(subject), server-name: plant4.test, subaccount: test}]")
        try Self.foreignConnector(rig, plain.port, service: other.ports[1])
        let unnamed = try LoggedProcess(["run", "--config", "foreign.conf"], folder: rig.folder)
        try other.process.wait(for: "names no subaccount and location ID")
        unnamed.stop(SIGKILL)
        other.process.stop(SIGKILL)
        // The name that is asked for counts before none at all.
        let open = try cloud(
            "  connectors: [{\(subject), subaccount: nobody}, {\(subject), server-name: LocalHost, subaccount: test}]"
        )
        defer { open.process.stop(SIGKILL) }
        try Self.foreignConnector(rig, plain.port, service: open.ports[1])
        let admitted = try LoggedProcess(["run", "--config", "foreign.conf"], folder: rig.folder)
        defer { admitted.stop(SIGKILL) }
        try open.process.wait(for: "tunnel connected")
        let answer = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "-m", "\(Socket.timeout)", "-x", "127.0.0.1:\(open.ports[0])", "http://backend.test/api"],
            rig.folder
        )
        #expect(answer.output == "inside")
    }

    /// Of an authority of its own, which both.pem trusts beside ours.
    private static func makeForeignCertificate(_ folder: URL) throws {
        let openssl = URL(filePath: "/usr/bin/openssl")
        let made = try Rig.run(
            openssl,
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/O=Example/CN=plant4", "-keyout", "foreign.key", "-out", "foreign.pem",
            ],
            folder
        )
        guard made.status == 0 else { throw RigError(made.output) }
        let both = try ["ca.pem", "foreign.pem"].map {
            try String(contentsOf: folder.appending(path: $0), encoding: .utf8)
        }.joined()
        try both.write(to: folder.appending(path: "both.pem"), atomically: true, encoding: .utf8)
    }

    private static func foreignConnector(
        _ rig: Rig,
        _ port: Int,
        service: Int? = nil,
        certificate: String = "foreign"
    ) throws {
        let text = """
            subaccount: test
            tunnel:
              service: localhost:\(service ?? rig.tunnelPort)
              dialect: haproxy
              connections: 1
              certificate: \(certificate).pem
              private-key: \(certificate).key
              trusted-ca: ca.pem
            check: {interval: "off"}
            admin: {socket: foreign.sock, listen: "off"}
            systems:
            \(Rig.system(port: port, allowed))
            """
        try text.write(to: rig.folder.appending(path: "foreign.conf"), atomically: true, encoding: .utf8)
    }

    // MARK: With HAProxy

    @Test("Our connector serves an edge of HAProxy", .enabled(if: haproxy != nil))
    func edge() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let server = WebSocketPeer.echo()
        let big = String(repeating: "0123456789abcdef", count: 65536)
        let plain = TestServer.http { request, _ in TestServer.ok(request.contains("/big") ? big : "inside") }
        defer {
            server.stop()
            plain.stop()
        }
        let (entry, tunnels) = (try Self.freePort(), try Self.freePort())
        try Self.joined("service", rig.folder)
        let edge = try Self.startHAProxy(
            """
            frontend entry
              bind 127.0.0.1:\(entry)
              use_backend inside
            frontend tunnels
              bind 127.0.0.1:\(tunnels) ssl crt service-both.pem ca-file ca.pem verify required alpn h2
              tcp-request session attach-srv inside/connectors name ssl_c_s_dn(CN)
            backend inside
              retries 3
              retry-on all-retryable-errors
              server connectors rhttp@ pool-conn-name str(connector) pool-purge-delay 1h
            """,
            rig.folder
        )
        defer { edge.terminate() }
        try Self.foreignConnector(rig, plain.port, service: tunnels, certificate: "connector")
        try Self.append(Rig.system("ws.test:80", port: server.port, Self.allowed), rig.folder)
        let connector = try LoggedProcess(["run", "--config", "foreign.conf"], folder: rig.folder)
        defer { connector.stop(SIGKILL) }
        try connector.wait(for: "tunnel connected")
        func get(_ path: String) throws -> String {
            try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                [
                    "-s", "-i", "-m", "\(Socket.timeout)", "-H", "Host: backend.test",
                    "http://127.0.0.1:\(entry)\(path)",
                ],
                rig.folder
            ).output
        }
        #expect(Rig.eventually { (try? get("/api/x").hasSuffix("inside")) == true })
        #expect(try get("/other").contains("403 "))
        #expect(try get("/api/big").hasSuffix(big))
        let socket = try Socket(connectingTo: entry)
        socket.send(WebSocketPeer.request("/ws").replacingOccurrences(of: "Host: ", with: "Host: ws.test\r\nX-Other: "))
        let head = socket.receive(through: "\r\n\r\n")
        #expect(head.contains(" 101 "), "\(head)")
        var peer = WebSocketPeer(socket, isClient: true)
        peer.send(1, Array("frame".utf8))
        #expect(peer.next() == .init(1, Array("frame".utf8)))
    }

    @Test("Our service takes a HAProxy as a connector", .enabled(if: haproxy != nil))
    func connector() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let big = String(repeating: "0123456789abcdef", count: 65536)
        let server = WebSocketPeer.echo()
        let plain = TestServer.http { request, _ in TestServer.ok(request.contains("/big") ? big : "inside") }
        defer {
            server.stop()
            plain.stop()
        }
        try Self.joined("connector", rig.folder)
        let process = try Self.startHAProxy(
            """
            frontend tunnels
              bind "rhttp@dial/service" nbconn 2 idle-ping 10s
              use_backend ws if { path /ws }
              default_backend inside
            backend dial
              server service 127.0.0.1:\(rig.tunnelPort) ssl ca-file ca.pem verify required verifyhost localhost crt connector-both.pem alpn h2
            backend inside
              server plain 127.0.0.1:\(plain.port)
            backend ws
              server ws 127.0.0.1:\(server.port)
            """,
            rig.folder
        )
        defer { process.terminate() }
        try rig.cloud.wait(for: "tunnel connected", count: 2)
        #expect(try rig.curl("http://backend.test/api").hasSuffix("inside"))
        #expect(try rig.curl("http://backend.test/big").hasSuffix(big))
        #expect(try rig.curl("-d", "body", "http://backend.test/api").hasSuffix("inside"))
        var (head, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws", "")
        #expect(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
        peer.send(1, Array("frame".utf8))
        #expect(peer.next() == .init(1, Array("frame".utf8)))
    }

    private static func append(_ text: String, _ folder: URL) throws {
        let file = folder.appending(path: "foreign.conf")
        let before = try String(contentsOf: file, encoding: .utf8)
        try (before + "\n" + text).write(to: file, atomically: true, encoding: .utf8)
    }

    /// Certificate and key in one file, as HAProxy wants them.
    private static func joined(_ name: String, _ folder: URL) throws {
        let parts = try ["\(name).pem", "\(name).key"].map {
            try String(contentsOf: folder.appending(path: $0), encoding: .utf8)
        }
        try parts.joined(separator: "\n").write(
            to: folder.appending(path: "\(name)-both.pem"),
            atomically: true,
            encoding: .utf8
        )
    }

    /// Nobody listens there any more.
    private static func freePort() throws -> Int {
        let server = TestServer.http { _, _ in "" }
        defer { server.stop() }
        return server.port
    }

    private static func startHAProxy(_ text: String, _ folder: URL) throws -> Process {
        let head = """
            global
              expose-experimental-directives
              nbthread 1
            defaults
              mode http
              timeout connect 5s
              timeout client 60s
              timeout server 60s

            """
        try (head + text + "\n").write(
            to: folder.appending(path: "haproxy.cfg"),
            atomically: true,
            encoding: .utf8
        )
        let process = Process()
        process.executableURL = URL(filePath: haproxy!)
        process.arguments = ["-db", "-f", "haproxy.cfg"]
        process.currentDirectoryURL = folder
        try process.run()
        return process
    }
}
