import ConnectorTestSupport
import Foundation
import Testing

/// What one of many may ask for, over real sockets and two event loops.
@Suite(.serialized) struct FairnessTests {
    /// Answers what begins with /hold when its client goes away, and the rest at once, with as many bytes as the path says.
    private static func backend() -> TestServer {
        TestServer { socket, _ in
            while true {
                let head = String(decoding: socket.receive { SimpleHTTP.headEnd($0[...]) != nil }, as: UTF8.self)
                guard !head.isEmpty else { return socket.close() }
                if head.hasPrefix("GET /hold") {
                    _ = socket.receiveToEnd()
                    return socket.close()
                }
                let size = head.split(separator: " ").dropFirst().first.flatMap { Int($0.dropFirst()) } ?? 2
                socket.send(TestServer.ok(String(repeating: "x", count: size)))
            }
        }
    }

    private static func rig(_ limits: String, _ server: TestServer) throws -> Rig {
        let rig = try Rig(cloud: "limits: {\(limits)}")
        try rig.startConnector(systems: Rig.system(port: server.port) + Rig.system("other.test:80", port: server.port))
        return rig
    }

    @Test func `A virtual host has so many requests in flight, by whatever name it is called; others go on`() throws {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Self.rig("per-virtual-host: {requests-in-flight: 2}", server)
        defer { rig.stop() }
        let held = try ["backend.test", "BACKEND.test:80"].map { name in
            let socket = try rig.connect()
            socket.send("GET http://\(name)/hold HTTP/1.1\r\nHost: \(name)\r\n\r\n")
            return socket
        }
        #expect(try Rig.eventually { try rig.curl("http://backend.test:80/2").contains(" 429 ") })
        let refused = try rig.curl("http://backend.test/2")
        #expect(refused.contains("retry-after: 1") || refused.contains("Retry-After: 1"), "\(refused)")
        #expect(refused.contains("have 2 requests in flight, and may have no more"))
        #expect(try rig.curl("http://other.test/2").contains("200 OK"))
        held[0].reset()
        #expect(try Rig.eventually { try rig.curl("http://backend.test/2").contains("200 OK") })
        held[1].close()
        let metrics = try rig.control("status", "--cloud", "--requests", "--socket", "cloud.sock").output
        #expect(metrics.contains("limits.per-virtual-host"), "\(metrics)")
    }

    @Test func `A client sends so many requests a second; a reload changes that at once`() throws {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Self.rig("per-client: {requests-per-second: 1}", server)
        defer { rig.stop() }
        #expect(try rig.curl("http://backend.test/2").contains("200 OK"))
        let refused = try rig.curl("http://other.test/2")
        #expect(
            refused.contains(" 429 ") && refused.contains("This client sends more than 1 requests a second"),
            "\(refused)"
        )
        try rig.rewrite("cloud.conf") { $0.replacing("requests-per-second: 1", with: "requests-per-second: 1000") }
        #expect(try rig.control("reload", "--socket", "cloud.sock").status == 0)
        for _ in 0..<20 { #expect(try rig.curl("http://backend.test/2").contains("200 OK")) }
    }

    @Test func `Who does not wait is made to, and fills no log`() throws {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Self.rig("per-client: {requests-per-second: 1}", server)
        defer { rig.stop() }
        let socket = try rig.connect()
        let request = "GET http://backend.test/2 HTTP/1.1\r\nHost: backend.test\r\n\r\n"
        let start = ContinuousClock.now
        // Pipelined: what has arrived already waits as well.
        socket.send(String(repeating: request, count: 40))
        var refused = 0
        while ContinuousClock.now - start < .seconds(3) {
            let answers = String(decoding: socket.receive() ?? [], as: UTF8.self)
            refused += answers.components(separatedBy: "HTTP/1.1 429 ").count - 1
        }
        #expect((4...14).contains(refused), "\(refused) in three seconds, a quarter to half a second between two")
        let others = (0..<60).map { _ in try? rig.connect() }
        for other in others { other?.send(request) }
        for other in others { _ = other?.receive { SimpleHTTP.headEnd($0[...]) != nil } }
        let logged = rig.cloud.log.count { $0.contains("limits.per-client") }
        #expect(logged > 0 && logged <= 10 * (2 + Int((ContinuousClock.now - start) / .seconds(1))) * 2)
    }

    @Test func `However many are beyond a limit, they are answered in turn, and others do not wait for it`() throws {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Self.rig("per-virtual-host: {requests-in-flight: 1}", server)
        defer { rig.stop() }
        let held = try rig.connect()
        held.send("GET http://backend.test/hold HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(try Rig.eventually { try rig.curl("http://backend.test/2").contains(" 429 ") })
        let many = try (0..<600).map { _ in try rig.connect() }
        let start = ContinuousClock.now
        for (number, socket) in many.enumerated() {
            socket.send(
                "\(number % 3 == 0 ? "HEAD" : "GET") http://backend.test/2 HTTP/1.1\r\nHost: backend.test\r\n\r\n"
            )
        }
        // Some give up, or have said all they had to say, before it is their turn.
        for socket in many[500..<550] { socket.reset() }
        for socket in many[550...] { socket.finishSending() }
        let other = try rig.connect()
        other.send("GET http://other.test/2 HTTP/1.1\r\nHost: other.test\r\n\r\n")
        let answer = String(decoding: other.receive { SimpleHTTP.headEnd($0[...]) != nil }, as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
        for (number, socket) in many.enumerated() where !(500..<550).contains(number) {
            let answer = String(decoding: socket.receive { SimpleHTTP.headEnd($0[...]) != nil }, as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 429 "), "\(number): \(answer)")
        }
        // A thousand a second for each of the two event loops.
        #expect(ContinuousClock.now - start > .milliseconds(200))
        held.reset()
        #expect(try Rig.eventually { try rig.curl("http://backend.test/2").contains("200 OK") })
        many[1].send("GET http://backend.test/2 HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        let next = many[1].receive { String(decoding: $0, as: UTF8.self).contains("HTTP/1.1 200 ") }
        #expect(String(decoding: next, as: UTF8.self).contains("HTTP/1.1 200 OK"))
    }

    @Test func `A subaccount that has moved too much waits until it is paid for`() throws {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Self.rig("per-subaccount: {kib-per-second: 100}", server)
        defer { rig.stop() }
        #expect(try rig.curl("http://backend.test/1048576").hasSuffix(String(repeating: "x", count: 1000)))
        let refused = try rig.curl("http://backend.test/2")
        #expect(refused.contains(" 429 ") && refused.contains("have moved more than 100 KiB a second"), "\(refused)")
        #expect(
            refused.lowercased().contains("retry-after: 9") || refused.lowercased().contains("retry-after: 10"),
            "\(refused)"
        )
    }

    @Test func `WebSocket counts for as long as it is open`() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Rig(cloud: "limits: {per-subaccount: {requests-in-flight: 1}}")
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(
                "ws.test:80",
                port: server.port,
                "{path: /ws, access: path-only, upgrade-allowed: true}"
            )
        )
        let (head, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        #expect(head.contains(" 101 "))
        #expect(try WebSocketPeer.open(rig, "http://ws.test/ws").head.contains(" 429 "))
        peer.socket.close()
        #expect(try Rig.eventually { try WebSocketPeer.open(rig, "http://ws.test/ws").head.contains(" 101 ") })
    }

    @Test
    func
        `Where a request would wait too long for a place in the tunnel, it is told so at once; others wait their turn`()
        throws
    {
        let server = Self.backend()
        defer { server.stop() }
        let rig = try Rig(cloud: "times: {queue: 1s}")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: server.port), tunnel: "max-streams: 4")
        let held = try (0..<4).map { _ in
            let socket = try rig.connect()
            socket.send("GET http://backend.test/hold HTTP/1.1\r\nHost: backend.test\r\n\r\n")
            return socket
        }
        // One waits, as long as nobody can say for how long.
        let waiting = try rig.connect()
        waiting.send("GET http://backend.test/5 HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        var refused = ""
        #expect(
            try Rig.eventually {
                refused = try rig.curl("http://backend.test/2", "-m", "1")
                return refused.contains(" 503 ")
            }
        )
        #expect(refused.contains("answer more slowly than they are asked"), "\(refused)")
        #expect(refused.lowercased().contains("retry-after: "), "\(refused)")
        try rig.cloud.wait(for: "all places of the connector's tunnels are taken")
        for socket in held { socket.reset() }
        #expect(SimpleHTTP.responses(waiting.receiveToEnd().bytes).first?.text == "xxxxx")
        #expect(try Rig.eventually { try rig.curl("http://backend.test/2").contains("200 OK") })
    }
}
