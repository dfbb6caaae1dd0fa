import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// What real clients and internal hosts do that a specification reader would not think of.
@Suite(.serialized) struct FieldTests {
    @Test("OPTIONS * is forwarded as it is where the whole system is exposed, and refused by policy where it is not")
    func asterisk() throws {
        let heads = Mutex<[String]>([])
        let backend = TestServer.http { head, _ in
            heads.withLock { $0.append(head) }
            return TestServer.ok("")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port)
                + Rig.system("part.test:80", port: backend.port, "{path: /a, access: path-only}")
        )
        func ask(_ host: String) throws -> Int {
            let socket = try rig.connect()
            socket.send("OPTIONS * HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            return try #require(SimpleHTTP.responses(socket.receiveToEnd().bytes).first).status
        }
        #expect(try ask("backend.test") == 200)
        #expect(heads.withLock { $0.last }?.hasPrefix("OPTIONS * HTTP/1.1\r\n") == true)
        #expect(try ask("part.test") == 403)
        #expect(heads.withLock { $0.count } == 1)
    }

    @Test("A POST never goes on a connection that may be stale: none of many is lost where each second one is closed")
    func posts() throws {
        let backend = TestServer { socket, _ in
            // One request for each connection, whose end comes a moment after the response, without a word before.
            guard socket.receive(through: "x=1").contains("x=1") else { return socket.close() }
            socket.send(TestServer.ok("fine"))
            // As soon as anything more comes, as lighttpd does when its time is over.
            _ = socket.receive()
            socket.reset()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        for number in 0..<3 {
            let socket = try rig.connect()
            socket.send(
                "POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 3\r\nConnection: close\r\n\r\nx=1"
            )
            #expect(SimpleHTTP.responses(socket.receiveToEnd().bytes).first?.status == 200, "\(number)")
            // The connection of before is older than what a POST may have then.
            let isOld = DispatchTime.now() + .milliseconds(1200)
            #expect(Rig.eventually { DispatchTime.now() > isOld })
        }
    }

    @Test(
        "Host is ignored beside an absolute target, whatever stands in it",
        arguments: [
            "Host: other.test\r\n", "Host: backend.test:81\r\n", "Host:\r\n", "Host: 127.0.0.1:20003\r\n",
        ]
    )
    func host(_ field: String) throws {
        let heads = Mutex<[String]>([])
        let backend = TestServer.http { head, _ in
            heads.withLock { $0.append(head) }
            return TestServer.ok("")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\n\(field)Connection: close\r\n\r\n")
        #expect(SimpleHTTP.responses(socket.receiveToEnd().bytes).first?.status == 200)
        let head = heads.withLock { $0.last } ?? ""
        #expect(head.lowercased().contains("host: backend.test\r\n"), "\(head)")
    }

    @Test(
        "An Upgrade to what is not WebSocket is ignored, as Apache's HttpClient expects",
        arguments: ["TLS/1.2", "h2c", "foo/1, TLS/1.3"]
    )
    func upgrade(_ token: String) throws {
        let backend = TestServer.http { head, _ in
            TestServer.ok(head.lowercased().contains("upgrade") ? "seen" : "gone")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let output = try rig.curl("-H", "Upgrade: \(token)", "-H", "Connection: Upgrade", "http://backend.test/")
        #expect(output.hasPrefix("HTTP/1.1 200") && output.hasSuffix("gone"), "\(output)")
    }

    @Test("407 offers Basic beside Bearer, our own answers have a Date, and CONNECT is told what there is instead")
    func ownAnswers() throws {
        let rig = try Rig(
            cloud:
                "proxy: {listen: \"127.0.0.1:0\", authorization: token}\napi: {listen: \"127.0.0.1:0\", directory: api}"
        )
        defer { rig.stop() }
        let output = try rig.curl("http://backend.test/").lowercased()
        #expect(output.hasPrefix("http/1.1 407"))
        #expect(
            output.contains("proxy-authenticate: bearer realm=") && output.contains("proxy-authenticate: basic realm=")
        )
        #expect(output.contains("\r\ndate: ") && output.contains(" gmt\r\n"))
        let socket = try rig.connect()
        socket.send("CONNECT backend.test:80 HTTP/1.1\r\nHost: backend.test:80\r\n\r\n")
        let answer = try #require(SimpleHTTP.responses(socket.receiveToEnd().bytes).first)
        #expect(answer.status == 405 && answer.text.contains("WebSocket"), "\(answer.text)")
        #expect(answer.field("allow")?.contains("GET") == true)
    }

    @Test(
        "Reason phrases are those of the internal host, or IANA's",
        arguments: [
            ("404 Nothing Here", "404 Nothing Here"), ("451 ", "451 Unavailable For Legal Reasons"),
            ("299 Own", "299 Own"),
            ("511 Network Authentication Required", "511 Network Authentication Required"),
        ]
    )
    func reasons(_ sent: String, _ expected: String) throws {
        let backend = TestServer.http { _, _ in "HTTP/1.1 \(sent)\r\nContent-Length: 0\r\n\r\n" }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let output = try rig.curl("http://backend.test/")
        #expect(output.hasPrefix("HTTP/1.1 \(expected)\r\n"), "\(output)")
    }

    @Test("A full service says so, once, and in its metrics; who waits is served when there is room")
    func full() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("fine") }
        defer { backend.stop() }
        let rig = try Rig(cloud: "proxy: {listen: \"127.0.0.1:0\", max-connections: 4}\nevent-loops: 1")
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let held = try (0..<4).map { _ in try rig.connect() }
        let waiting = try rig.connect()
        waiting.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        let line = try rig.cloud.wait(for: "max-connections")
        #expect(line.contains("WARNING"), "\(line)")
        let metrics = try OperationTests.curl(rig, "/metrics", socket: "cloud.sock")
        #expect(metrics.contains("connector_service_listener_connections_max{listener=\"proxy\"} 4"), "\(metrics)")
        for socket in held { socket.close() }
        #expect(SimpleHTTP.responses(waiting.receiveToEnd().bytes).first?.status == 200)
    }
}
