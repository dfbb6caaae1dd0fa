import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// Messages on their way through both processes.
@Suite(.serialized)
struct ForwardingTests {
    @Test("Headers arrive as they should: Host by host-in-header, hop-by-hop and our own not at all")
    func headers() throws {
        let seen = Mutex<[String]>([])
        let backend = TestServer.http { request, _ in
            seen.withLock { $0.append(request.lowercased()) }
            return TestServer.ok(
                "ok",
                fields:
                    "X-Kept: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nProxy-Connection: close\r\nKeep-Alive: timeout=5\r\n"
            )
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port)
                + Rig.system("inner.test:81", port: backend.port, extra: ", host-in-header: internal")
        )
        let output = try rig.curl(
            "-H",
            "Authorization: Basic eDp5",
            "-H",
            "SAP-Connectivity-Authentication: Bearer x",
            "-H",
            "Proxy-Authorization: Bearer y",
            "-H",
            "X-Forwarded-Host: evil",
            "-H",
            "SSL_CLIENT_CERT: forged",
            "-H",
            "sap-connectivity-pin: 1-2",
            "-H",
            "sap-client: 100",
            "http://backend.test/a//b?c=%2F"
        )
        #expect(
            output.contains("x-kept: 1") && !output.lowercased().contains("x-hop") && !output.contains("keep-alive")
                && !output.contains("proxy-connection")
        )
        let first = seen.withLock { $0[0] }
        #expect(first.hasPrefix("get /a//b?c=%2f http/1.1\r\nhost: backend.test\r\n"))
        #expect(first.contains("authorization: basic edp5\r\n") && first.contains("sap-client: 100\r\n"))
        for name in ["sap-connectivity", "proxy-", "x-forwarded", "ssl_client", "evil", "forged"] {
            #expect(!first.contains(name), "\(first)")
        }
        _ = try rig.curl("http://inner.test:81/")
        let second = seen.withLock { $0[1] }
        #expect(
            second.contains("\r\nhost: 127.0.0.1:\(backend.port)\r\n")
                && second.contains("\r\nx-forwarded-host: inner.test:81\r\n")
        )
    }

    @Test("Redirects and cookie domains come back with the virtual host")
    func reverseMapping() throws {
        let port = Mutex(0)
        let backend = TestServer.http { _, _ in
            let address = "127.0.0.1:\(port.withLock { $0 })"
            return
                "HTTP/1.1 302 Found\r\nLocation: http://\(address)/next?x\r\nSet-Cookie: a=1; Domain=127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        }
        defer { backend.stop() }
        port.withLock { $0 = backend.port }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system("backend.test:3333", port: backend.port))
        let output = try rig.curl("http://backend.test:3333/")
        #expect(output.contains("location: http://backend.test:3333/next?x\r\n"))
        #expect(output.contains("set-cookie: a=1; Domain=backend.test\r\n"))
    }

    @Test("Chunked bodies and trailers pass both ways")
    func trailers() throws {
        let seen = Mutex<(String, [UInt8])>(("", []))
        let backend = TestServer.http { request, body in
            seen.withLock { $0 = (request, body) }
            return
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send(
            "POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        socket.send("2;x=y\r\nde\r\n0\r\nX-Req: 2\r\nAuthorization: no\r\n\r\n")
        let response = socket.receive(through: "x-sum: 1\r\n\r\n")
        #expect(response.contains("\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"))
        let (request, body) = seen.withLock { $0 }
        let content = SimpleHTTP.chunkedEnd(body, 0)?.content
        #expect(request.lowercased().contains("transfer-encoding: chunked"))
        #expect(content == Array("abcde".utf8))
        let text = String(decoding: body, as: UTF8.self)
        #expect(text.hasSuffix("0\r\nx-req: 2\r\n\r\n"))
    }

    @Test("An HTTP/1.0 client gets a body that ends with the connection, never chunks")
    func http10() throws {
        let backend = TestServer.http { _, _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.0\r\n\r\n")
        let (bytes, isReset) = socket.receiveToEnd()
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!isReset && text.hasSuffix("\r\n\r\nhello") && !text.contains("chunked"))
    }

    @Test("Interim responses pass, and Expect: 100-continue is answered by the internal host")
    func interim() throws {
        let backend = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            let body = socket.receive { $0.count >= 5 }
            socket.send(
                "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n" + String(decoding: body, as: UTF8.self)
            )
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send(
            "PUT http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        let hints = socket.receive(through: "\r\n\r\n")
        #expect(hints.hasPrefix("HTTP/1.1 103 ") && hints.contains("link: </a>"))
        var rest = hints.components(separatedBy: "\r\n\r\n").dropFirst().joined()
        if !rest.contains("100") { rest = socket.receive(through: "\r\n\r\n") }
        #expect(rest.contains("HTTP/1.1 100 "))
        socket.send("hello")
        #expect(socket.receive(through: "hello").contains("HTTP/1.1 200 "))
    }

    @Test("An answer before the end of the request reaches the client, and nothing is left of the request")
    func earlyResponse() throws {
        let backend = TestServer { socket, _ in
            _ = socket.receive { SimpleHTTP.headEnd($0[...]) != nil }
            socket.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
            _ = socket.receiveToEnd()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 1000000\r\n\r\n")
        socket.send([UInt8](repeating: 97, count: 1000))
        let (bytes, _) = socket.receiveToEnd()
        #expect(SimpleHTTP.responses(bytes).map(\.status) == [413])
    }

    @Test("A client that has sent its request and closed its side still gets the answer")
    func halfClose() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("late") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        socket.finishSending()
        #expect(SimpleHTTP.responses(socket.receiveToEnd().bytes).first?.text == "late")
    }

    @Test("When the client goes away, the internal host hears of it")
    func clientAbort() throws {
        let ended = DispatchSemaphore(value: 0)
        let backend = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while socket.send("5\r\nhello\r\n") {}
            ended.signal()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        _ = socket.receive()
        socket.reset()
        #expect(ended.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
    }

    @Test("Requests of many clients share pooled connections, and a stale one costs no request")
    func pool() throws {
        let backend = TestServer { socket, number in
            // Each connection serves two requests and is then closed without a word.
            for _ in 0..<2 {
                guard socket.receive(through: "\r\n\r\n").contains("\r\n\r\n") else { break }
                socket.send(TestServer.ok("\(number)"))
            }
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        for _ in 0..<30 {
            let socket = try rig.connect()
            socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
            #expect(SimpleHTTP.responses(socket.receiveToEnd().bytes).first?.status == 200)
        }
        #expect(backend.connectionCount < 30)
    }

    @Test("A connection that NTLM has authenticated answers only the client that did it")
    func connectionAuthentication() throws {
        let backend = TestServer { socket, number in
            while true {
                let request = socket.receive(through: "\r\n\r\n")
                guard !request.isEmpty else { break }
                let isChallenge = !request.lowercased().contains("authorization: ntlm type3")
                socket.send(
                    "HTTP/1.1 \(isChallenge ? "401 Unauthorized" : "200 OK")\r\nWWW-Authenticate: NTLM x\r\nContent-Length: 2\r\n\r\n\(10 + number)"
                )
            }
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        func ask(_ socket: Socket, _ authorization: String) -> SimpleResponse {
            socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\(authorization)\r\n")
            var bytes: [UInt8] = []
            while SimpleHTTP.messageEnd(bytes, from: 0) == nil, let piece = socket.receive(), !piece.isEmpty {
                bytes += piece
            }
            return SimpleHTTP.responses(bytes)[0]
        }
        let (first, second) = (try rig.connect(), try rig.connect())
        let challenge = ask(first, "Authorization: NTLM type1\r\n")
        #expect(challenge.status == 401 && challenge.field("sap-connectivity-pin") == nil)
        // Somebody else in between must not get that connection.
        let other = ask(second, "")
        #expect(other.text != challenge.text)
        let done = ask(first, "Authorization: NTLM type3\r\n")
        #expect(done.status == 200 && done.text == challenge.text)
        #expect(ask(second, "Authorization: NTLM type1\r\n").text != challenge.text)
        #expect(ask(first, "Authorization: NTLM type3\r\n").text == challenge.text)
    }

    @Test(
        "A malformed response of the internal host becomes 502, and nothing of it reaches the next request",
        arguments: [
            "NONSENSE\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", "",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 50),
            "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 20000) + "\r\n\r\n",
        ]
    )
    func malformedResponse(_ text: String) throws {
        let backend = TestServer { socket, number in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send(number == 1 ? text : TestServer.ok("good"))
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("POST http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 0\r\n\r\n")
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        let responses = SimpleHTTP.responses(socket.receiveToEnd().bytes).filter { $0.status >= 200 }
        #expect(responses.map(\.status) == [502, 200])
        #expect(responses.last?.text == "good")
    }

    @Test(
        "What an internal host should not write, and other proxies take, reaches the client; its connection is used once",
        arguments: [
            ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, ""),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 103 Early\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200,
                "ok"
            ),
            ("HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            ("HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok", 200, "ok"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, "ok"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200,
                "ok"
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n", 200, "ok"),
            ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        ]
    )
    func lenientResponse(_ text: String, _ status: Int, _ body: String) throws {
        let backend = TestServer { socket, number in
            while !socket.receive(through: "\r\n\r\n").isEmpty {
                socket.send(number == 1 ? text : TestServer.ok("good"))
            }
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let socket = try rig.connect()
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        let responses = SimpleHTTP.responses(socket.receiveToEnd().bytes).filter { $0.status >= 200 }
        #expect(responses.map(\.status).first == status && responses.first?.text == body)
        #expect(responses.count == 2 && (responses.last?.text == "good" || responses.last?.text == body))
    }

    @Test(
        "A reason that is not the usual one reaches the client, and known statuses have theirs",
        arguments: [
            ("428 Precondition Required", "428 Precondition Required"), ("207", "207 Multi-Status"),
            ("299 Look Out", "299 Look Out"), ("200 Fine", "200 Fine"), ("404 ", "404 Not Found"),
            ("507 \t", "507 Insufficient Storage"),
        ]
    )
    func reasons(_ sent: String, _ expected: String) throws {
        let backend = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send("HTTP/1.1 \(sent)\r\nContent-Length: 0\r\nsap-connectivity-reason: Mine\r\n\r\n")
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let answer = try rig.curl("http://backend.test/")
        #expect(answer.hasPrefix("HTTP/1.1 \(expected)\r\n") && !answer.contains("Mine"), "\(answer)")
    }

    @Test("Bytes after a response are not taken for the next one")
    func surplus() throws {
        let backend = TestServer { socket, number in
            while !socket.receive(through: "\r\n\r\n").isEmpty {
                socket.send(
                    TestServer.ok("good") + (number == 1 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : "")
                )
            }
            socket.close()
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        for _ in 0..<3 { #expect(try rig.curl("http://backend.test/").hasSuffix("good")) }
    }

    @Test("An HTTPS internal host is reached where its authority is trusted, and refused with the reason where not")
    func https() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        // The service's certificate is one for localhost.
        let server = try await TLSTestServer.start(
            certificate: rig.folder.appending(path: "service.pem").path,
            key: rig.folder.appending(path: "service.key").path,
            response: TestServer.ok("secret\n")
        )
        let port = server.port
        let system =
            "  - {virtual-host: \"tls.test:80\", internal-host: \"localhost:\(port)\", protocol: HTTPS, resources: [{path: /, access: path-and-sub-paths}]}\n"
        let untrusting = try rig.startConnector(systems: system)
        let refused = try rig.curl("http://tls.test/a")
        #expect(refused.hasPrefix("HTTP/1.1 502 ") && refused.contains("tls_certificate_error"), "\(refused)")
        #expect(
            refused.contains(
                "Unable to open connection to backend system tls.test:80: the certificate of the internal host"
            )
        )
        untrusting.stop()
        try rig.startConnector(systems: system, extra: "backend-trust: {certificates: [ca.pem]}")
        #expect(try rig.curl("http://tls.test/a").hasSuffix("secret\n"))
        try await server.stop()
    }
}
