import ConnectorTestSupport
import Foundation
import Testing

/// The cloud side with tokens: what a program does that was written for SAP's.
@Suite struct TokenTests {
    static let cloud = """
        proxy: {listen: "127.0.0.1:PORT", authorization: token}
        api: {listen: "127.0.0.1:0", directory: api, tenants: [{subaccount: other, subdomain: tenant1}]}
        """

    /// The value of VCAP_SERVICES.
    struct Bindings: Decodable {
        /// The texts; `connectivity_service` is an object.
        struct Credentials: Decodable {
            var texts: [String: String] = [:]
            subscript(_ key: String) -> String? { texts[key] }

            init(from decoder: any Decoder) throws {
                struct Key: CodingKey {
                    var stringValue: String
                    var intValue: Int? { nil }
                    init(stringValue: String) { self.stringValue = stringValue }
                    init?(intValue: Int) { nil }
                }
                let container = try decoder.container(keyedBy: Key.self)
                for key in container.allKeys {
                    texts[key.stringValue] = try? container.decode(String.self, forKey: key)
                }
            }
        }
        struct Binding: Decodable {
            var label: String
            var credentials: Credentials
        }
        var connectivity: [Binding]
        var xsuaa: [Binding]
    }

    func rig(_ cloud: String = cloud) throws -> (Rig, TestServer) {
        let backend = TestServer { socket, _ in
            while true {
                let head = socket.receive(through: "\r\n\r\n")
                guard head.hasSuffix("\r\n\r\n") else { break }
                socket.send(TestServer.ok(head))
            }
            socket.close()
        }
        let rig = try Rig(cloud: cloud)
        let port = backend.port
        try rig.startConnector(systems: Rig.system(port: port) + Rig.system("other.test:80", port: port))
        return (rig, backend)
    }

    func token(_ rig: Rig, _ arguments: String...) throws -> String {
        let result = try Rig.run(["token"] + arguments + ["--config", "cloud.conf"], rig.folder)
        #expect(result.status == 0, "\(result.output)")
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func request(_ url: String = "http://backend.test/", _ fields: String...) -> String {
        "GET \(url) HTTP/1.1\r\nHost: \(url.split(separator: "/")[1])\r\n" + fields.map { $0 + "\r\n" }.joined()
            + "\r\n"
    }

    func ask(_ socket: Socket, _ request: String) -> String {
        socket.send(request)
        var bytes: [UInt8] = []
        while SimpleHTTP.responses(bytes).isEmpty, let piece = socket.receive(), !piece.isEmpty { bytes += piece }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "Where SDKs would stay with the provider, env says what to do, and does not where the address has its subdomain"
    )
    func tenantNote() throws {
        let port = 20080
        for (url, isNoted) in [("http://localhost:\(port)", true), ("http://provider.localhost:\(port)", false)] {
            let tenants = "tenants: [{subaccount: other, subdomain: tenant1}]"
            let rig = try Rig(cloud: "api: {listen: \"127.0.0.1:0\", directory: api, url: \"\(url)\", \(tenants)}")
            defer { rig.stop() }
            let output = try rig.control("env", "--config", "cloud.conf").output
            #expect(output.contains("write its destinations. Set api.url") == isNoted, "\(output)")
            #expect(output.contains("http://provider.localhost:\(port)"))
        }
    }

    @Test("A program with nothing but its binding gets a token and an answer through the proxy")
    func wholeWay() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let bindings = try JSONDecoder().decode(Bindings.self, from: rig.bindings())
        let credentials = try #require(bindings.connectivity.first).credentials
        #expect(credentials["onpremise_proxy_http_port"] == String(rig.proxyPort))
        let url = try #require(credentials["token_service_url"])
        #expect(url == "http://localhost:\(rig.apiPort)")
        let answer = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            [
                "-s", "-S", url + "/oauth/token", "-d", "grant_type=client_credentials", "-u",
                "\(credentials["clientid"]!):\(credentials["clientsecret"]!)",
            ],
            rig.folder
        ).output
        let fields = try #require(JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any])
        let token = try #require(fields["access_token"] as? String)
        #expect(fields["token_type"] as? String == "bearer" && fields["expires_in"] as? Int == 43200)
        let authorization = "Proxy-Authorization: Bearer \(token)"
        let allowed = try rig.curl("--proxy-header", authorization, "http://backend.test/hello")
        #expect(allowed.hasPrefix("HTTP/1.1 200") && allowed.contains("GET /hello"))
        #expect(!allowed.contains(token), "the token reached the internal host")
        // As a user without password, for clients that know Basic only.
        let basic = try rig.curl("-U", "\(token):", "http://backend.test/hello")
        #expect(basic.hasPrefix("HTTP/1.1 200"), "\(basic)")
    }

    @Test("Without a token, or with one that does not count, the answer is 407 and says why; nothing is logged of it")
    func refused() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let missing = try rig.curl("http://backend.test/")
        #expect(missing.hasPrefix("HTTP/1.1 407") && missing.contains("Missing or empty header: proxy-authorization\n"))
        #expect(missing.contains("proxy-authenticate: Bearer"))
        let good = try token(rig)
        let destination = try token(rig, "--service", "destination")
        for (value, reason) in [
            ("", "Missing or empty header: proxy-authorization"), ("Bearer x", "no JSON Web Token"),
            ("Bearer \(good.dropLast(3))AAA", "signature is wrong"), ("Bearer \(destination)", "issued to a client"),
            ("Digest \(good)", "neither Bearer nor Basic"), ("Basic eDp5", "neither Bearer nor Basic"),
        ] {
            let answer = ask(try rig.connect(), request("http://backend.test/", "Proxy-Authorization: \(value)"))
            #expect(answer.hasPrefix("HTTP/1.1 407") && answer.contains(reason), "\(value): \(answer)")
        }
        let twice = "Proxy-Authorization: Bearer \(good)"
        #expect(ask(try rig.connect(), request("http://backend.test/", twice, twice)).hasPrefix("HTTP/1.1 400"))
        #expect(!rig.cloud.log.contains { $0.contains(good.suffix(40)) || $0.contains(destination.suffix(40)) })
    }

    @Test("The token decides whose connectors serve the request")
    func tenant() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let other = try token(rig, "--subaccount", "other")
        let answer = try rig.curl("--proxy-header", "Proxy-Authorization: Bearer \(other)", "http://backend.test/")
        #expect(answer.hasPrefix("HTTP/1.1 503") && answer.contains("for subaccount \"other\""))
        let unknown = try Rig.run(["token", "--subaccount", "third", "--config", "cloud.conf"], rig.folder)
        #expect(unknown.status == 1 && unknown.output.contains("test, other"))
    }

    @Test("A connection stays with its location ID, virtual host and principal, as SAP's proxy has it")
    func strict() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let own = "Proxy-Authorization: Bearer \(try token(rig))"
        let renewed = "Proxy-Authorization: Bearer \(try token(rig))"
        let alice = "SAP-Connectivity-Authentication: Bearer \(try token(rig, "--service", "xsuaa", "--user", "alice"))"
        let again = "SAP-Connectivity-Authentication: Bearer \(try token(rig, "--service", "xsuaa", "--user", "alice"))"
        let bob = "SAP-Connectivity-Authentication: Bearer \(try token(rig, "--service", "xsuaa", "--user", "bob"))"
        let foreign = "Proxy-Authorization: Bearer \(try token(rig, "--subaccount", "other"))"
        let backendURL = "http://backend.test/"
        for (first, second, status, text) in [
            ([own], [foreign], "400", "Original tunnel ID: account:///test\n"),
            ([own], [renewed], "200", ""), ([own, alice], [own, again], "200", ""),
            ([own], [own, "SAP-Connectivity-SCC-Location_ID: x"], "400", "Original tunnel ID: account:///test\n"),
            ([own, alice], [own, bob], "403", "another principal"), ([own], [own, alice], "403", "another principal"),
        ] {
            let socket = try rig.connect()
            func send(_ fields: [String]) -> String {
                ask(
                    socket,
                    "GET \(backendURL) HTTP/1.1\r\nHost: backend.test\r\n\(fields.joined(separator: "\r\n"))\r\n\r\n"
                )
            }
            #expect(send(first).hasPrefix("HTTP/1.1 200"))
            let answer = send(second)
            #expect(answer.hasPrefix("HTTP/1.1 \(status)") && (text.isEmpty || answer.contains(text)), "\(answer)")
            #expect(status != "200" || !answer.lowercased().contains("sap-connectivity"), "\(answer)")
        }
        let socket = try rig.connect()
        #expect(ask(socket, request(backendURL, own)).hasPrefix("HTTP/1.1 200"))
        #expect(ask(socket, request("http://BACKEND.test/", own)).hasPrefix("HTTP/1.1 200"))
        let other = ask(socket, request("http://other.test/", own))
        #expect(other.hasPrefix("HTTP/1.1 403") && other.contains("already used for virtual host backend.test"))
        // What had no tunnel binds nothing.
        let unbound = try rig.connect()
        let lost = "SAP-Connectivity-SCC-Location_ID: nowhere"
        #expect(ask(unbound, request(backendURL, own, lost)).hasPrefix("HTTP/1.1 503"))
        #expect(ask(unbound, request(backendURL, own)).hasPrefix("HTTP/1.1 200"))
    }

    @Test("Relaxed, a connection may change its virtual host, and reloading makes it so")
    func relaxed() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let own = "Proxy-Authorization: Bearer \(try token(rig))"
        let file = rig.folder.appending(path: "cloud.conf")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacingOccurrences(
            of: "authorization: token",
            with: "authorization: token, connection-binding: relaxed"
        )
        .write(to: file, atomically: true, encoding: .utf8)
        #expect(try rig.control("reload", "--cloud", "--config", "cloud.conf").status == 0)
        let socket = try rig.connect()
        for host in ["backend.test", "other.test", "backend.test"] {
            #expect(ask(socket, request("http://\(host)/", own)).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("Keys are rotated under running clients: tokens of before and after both count, on open connections as well")
    func rotation() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let before = "Proxy-Authorization: Bearer \(try token(rig))"
        let socket = try rig.connect()
        #expect(ask(socket, request("http://backend.test/", before)).hasPrefix("HTTP/1.1 200"))
        let rotated = try Rig.run(["token", "rotate-keys", "--config", "cloud.conf"], rig.folder)
        #expect(rotated.status == 0 && rotated.output.contains("from now on"), "\(rotated.output)")
        let after = "Proxy-Authorization: Bearer \(try token(rig))"
        for value in [before, after, before] {
            #expect(ask(socket, request("http://backend.test/", value)).hasPrefix("HTTP/1.1 200"))
            #expect(ask(try rig.connect(), request("http://backend.test/", value)).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("A token ends on an open connection, too")
    func expiry() throws {
        let (rig, backend) = try rig(
            """
            proxy: {listen: "127.0.0.1:PORT", authorization: token}
            api: {listen: "127.0.0.1:0", directory: api, token-lifetime: 3s}
            """
        )
        defer {
            rig.stop()
            backend.stop()
        }
        let own = "Proxy-Authorization: Bearer \(try token(rig))"
        let socket = try rig.connect()
        var answer = ask(socket, request("http://backend.test/", own))
        #expect(answer.hasPrefix("HTTP/1.1 200"))
        let end = Date() + 30
        while answer.hasPrefix("HTTP/1.1 200"), Date() < end {
            answer = ask(socket, request("http://backend.test/", own))
        }
        #expect(answer.hasPrefix("HTTP/1.1 407") && answer.contains("the token has expired"), "\(answer)")
        try AgreementTests.expectAgreement(rig, answer, "http_request_denied", "request", isKnownToConnector: false)
    }

    @Test(
        "A client that offers HTTP/2 by an upgrade gets HTTP/1.1 and a new connection; what is no HTTP gets 400, a huge head 431"
    )
    func oddClients() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        func answer(_ request: String) throws -> String {
            let socket = try Socket(connectingTo: rig.apiPort)
            socket.send(request)
            return socket.receive(through: "never in an answer").lowercased()
        }
        let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
        let upgraded = try answer("GET /healthz HTTP/1.1\r\nHost: x\r\n\(upgrade)\r\n")
        #expect(upgraded.hasPrefix("http/1.1 200 ok\r\n") && upgraded.contains("\r\nconnection: close\r\n"))
        #expect(try answer("GET / HTTP/1.1\r\nX-<a>: b\r\n\r\n").hasPrefix("http/1.1 400 "))
        let long = String(repeating: "x", count: 100_000)
        #expect(try answer("GET / HTTP/1.1\r\nHost: x\r\nA: \(long)\r\n").hasPrefix("http/1.1 431 "))
    }

    @Test("Who sends far too much still reads why it is refused")
    func tooMuch() throws {
        let (rig, backend) = try rig()
        defer {
            rig.stop()
            backend.stop()
        }
        let piece = String(repeating: "x", count: 1 << 20)
        for (head, status) in [
            ("GET / HTTP/1.1\r\nHost: x\r\nA: ", "431"),
            ("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n", "413"),
        ] {
            let socket = try Socket(connectingTo: rig.apiPort)
            socket.send(head)
            for _ in 0..<10 { socket.send(piece) }
            #expect(socket.receive(through: "\r\n\r\n").hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test("Neither passwords nor queries of targets reach a log, the audit log or the page")
    func secrets() throws {
        let (rig, backend) = try rig(
            Self.cloud + "\naudit: {directory: audit, level: security}\ncockpit: {listen: \"127.0.0.1:0\"}"
        )
        defer {
            rig.stop()
            backend.stop()
        }
        let own = "Proxy-Authorization: Bearer \(try token(rig))"
        for (target, fields, status) in [
            ("http://user:S3CRET@backend.test/", own, "400"), ("http://backend.test/?t=S3CRET", "A: b", "407"),
            ("http://nothing.test/x?t=S3CRET#S3CRET", own, "400"), ("http://nothing.test/x?t=S3CRET", own, "403"),
            ("http://backend.test/?t=S3CRET", own + "\r\nSAP-Connectivity-SCC-Location_ID: x", "503"),
            ("http://backend.test/../?S3CRET", own, "403"),
        ] {
            let host = String(target.split(separator: "/")[1].split(separator: "@").last!)
            let socket = try rig.connect()
            let answer = ask(socket, "GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n\r\n")
            #expect(
                answer.hasPrefix("HTTP/1.1 \(status)") || status == "403" && answer.hasPrefix("HTTP/1.1 400"),
                "\(answer)"
            )
        }
        _ = try rig.control("status", "--cloud", "--config", "cloud.conf")
        let lines = rig.cloud.log(after: 0) + rig.connectors[0].log(after: 0)
        #expect(lines.contains { $0.contains("…@backend.test/") } && lines.contains { $0.contains("?…") })
        #expect(!lines.contains { $0.contains("S3CRET") })
        #expect(rig.cloud.stop() == 0)
        let audit = try FileManager.default.contentsOfDirectory(atPath: rig.folder.appending(path: "audit").path)
            .filter { $0.hasSuffix(".jsonl") }
            .map { try String(contentsOf: rig.folder.appending(path: "audit/\($0)"), encoding: .utf8) }
            .joined()
        #expect(audit.contains("Denying access") && !audit.contains("S3CRET"))
    }
}
