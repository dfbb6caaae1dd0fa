import ConnectorTestSupport
import Foundation
import Testing

/// Clients behind a load balancer, over real sockets.
@Suite(.serialized) struct ClientsBehindProxiesTests {
    private static let log = "\nlog: {access: true}\n"

    private static func answer(_ rig: Rig, _ head: String) throws -> String {
        let socket = try rig.connect()
        socket.send(head + "GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        return String(decoding: socket.receiveToEnd().bytes, as: UTF8.self)
    }

    @Test("With the PROXY protocol the header is needed, of listed peers; logs name the client")
    func proxyProtocol() throws {
        let server = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { server.stop() }
        let rig = try Rig(
            cloud: "proxy: {listen: \"127.0.0.1:0\", trusted-proxies: [127.0.0.0/8], proxy-protocol: true}" + Self.log
        )
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: server.port))
        #expect(try Self.answer(rig, "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n").hasSuffix("inside"))
        try rig.cloud.wait(for: "192.0.2.7:4711")
        #expect(try Self.answer(rig, "PROXY UNKNOWN\r\n").hasSuffix("inside"))
        #expect(try Self.answer(rig, "").isEmpty)
        try rig.cloud.wait(for: "does not begin with a PROXY header")
        #expect(try rig.curl("--haproxy-protocol", "http://backend.test/").hasSuffix("inside"))
    }

    @Test("Without it the fields count, of listed peers only", arguments: ["127.0.0.1", "10.9.9.9"])
    func fields(_ trusted: String) throws {
        let server = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { server.stop() }
        let rig = try Rig(cloud: "proxy: {listen: \"127.0.0.1:0\", trusted-proxies: [\(trusted)]}" + Self.log)
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: server.port))
        let mark = rig.cloud.mark
        #expect(try rig.curl("-H", "X-Forwarded-For: 6.6.6.6, 192.0.2.9", "http://backend.test/").hasSuffix("inside"))
        let line = try rig.cloud.wait(for: "access", after: mark)
        #expect(line.contains("192.0.2.9") == (trusted == "127.0.0.1"), "\(line)")
        #expect(!line.contains("6.6.6.6"))
    }

    @Test("The API and the cockpit know their clients by fields or by the header, as each is told")
    func pages() throws {
        let rig = try Rig(
            cloud: """
                api: {listen: "127.0.0.1:0", directory: api, trusted-proxies: [127.0.0.1]}
                cockpit: {listen: "127.0.0.1:0", password-file: password, trusted-proxies: [127.0.0.1], proxy-protocol: true}
                """,
            files: ["password": "long password\n"]
        )
        defer { rig.stop() }
        let curl = URL(filePath: "/usr/bin/curl")
        let wrong = ["-s", "-m", "20", "-H", "X-Forwarded-For: 6.6.6.6, 192.0.2.21", "-d", "grant_type=nothing"]
        _ = try Rig.run(curl, wrong + ["http://127.0.0.1:\(rig.apiPort)/oauth/token"], rig.folder)
        let refused = try rig.cloud.wait(for: "token refused")
        #expect(refused.contains("client=\"192.0.2.21"), "\(refused)")
        let line = try rig.cloud.wait(for: "cockpit started")
        let port = try #require(line.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }.last)
        let page = "http://127.0.0.1:\(port)/"
        let login = Data("x:wrong".utf8).base64EncodedString()
        let socket = try Socket(connectingTo: port)
        socket.send(
            "PROXY TCP6 2001:db8::7 ::1 4711 80\r\nGET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic \(login)\r\n\r\n"
        )
        try rig.cloud.wait(for: "cockpit: wrong password")
        #expect(try rig.cloud.wait(for: "cockpit: wrong password").contains("2001:db8::7"))
        #expect(
            try Rig.run(curl, ["-s", "-m", "20", "-u", "x:wrong", page], rig.folder).status != 0,
            "no header, no answer"
        )
    }

    @Test("A connector behind a balancer is known by its own address")
    func tunnel() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let text = try String(contentsOf: rig.folder.appending(path: "cloud.conf"), encoding: .utf8)
            .replacingOccurrences(of: "  certificate:", with: "  trusted-proxies: [127.0.0.1]\n  certificate:")
            .replacingOccurrences(of: "cloud.sock", with: "second.sock")
        try text.write(to: rig.folder.appending(path: "second.conf"), atomically: true, encoding: .utf8)
        let second = try LoggedProcess(["cloud", "--config", "second.conf"], folder: rig.folder)
        defer { second.stop(SIGKILL) }
        let ports = try second.wait(for: "connectivity service started").split(separator: "\"").compactMap { Int($0) }
        // A balancer that says who has connected to it.
        let balancer = TestServer { client, _ in
            guard let service = try? Socket(connectingTo: ports[1]) else { return client.close() }
            service.send("PROXY TCP4 192.0.2.33 127.0.0.1 1234 443\r\n")
            let back = Thread {
                while let bytes = service.receive(), !bytes.isEmpty { client.send(bytes) }
                client.close()
            }
            back.start()
            while let bytes = client.receive(), !bytes.isEmpty { service.send(bytes) }
            service.close()
        }
        defer { balancer.stop() }
        try rig.startConnector(systems: Rig.system(port: 1))
        rig.connectors[0].stop(SIGKILL)
        try rig.rewrite {
            $0.replacingOccurrences(of: "localhost:\(rig.tunnelPort)", with: "localhost:\(balancer.port)")
        }
        let connector = try LoggedProcess(["run", "--config", "connector0.conf"], folder: rig.folder)
        defer { connector.stop(SIGKILL) }
        #expect(try second.wait(for: "tunnel connected").contains("192.0.2.33"))
    }
}
