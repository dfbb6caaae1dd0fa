import ConnectorTestSupport
import Foundation
import Testing

/// What strangers try with the page and the API (attacks.md, "Slow and stopped ones", "Small").
@Suite(.serialized)
struct AdministratorTests {
    private func rig() throws -> HostileRig {
        let file = FileManager.default.temporaryDirectory.appending(path: "password-\(UUID().uuidString)")
        try "the right password\n".write(to: file, atomically: true, encoding: .utf8)
        return try HostileRig(
            cloud: "api: {listen: \"127.0.0.1:0\", directory: api}\n"
                + "cockpit: {listen: \"127.0.0.1:0\", password-file: \(file.path)}"
        )
    }

    private func ask(_ port: Int, _ fields: String) throws -> String {
        let client = try Socket(connectingTo: port)
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(fields)\r\n")
        return String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
    }

    private func basic(_ password: String) -> String {
        "Authorization: Basic \(Data("admin:\(password)".utf8).base64EncodedString())\r\n"
    }

    @Test("Somebody who guesses without end from the administrator's address locks nobody out, and guesses slowly")
    func guesses() throws {
        let rig = try rig()
        defer { rig.stop() }
        let port = try rig.port("cockpit started")
        let wrong = basic("wrong")
        let first = try ask(port, basic("the right password"))
        let cookie = try #require(first.components(separatedBy: "set-cookie: ").last?.prefix { $0 != ";" })
        // Each thread guesses again as soon as it is answered.
        let guessers = (0..<12).map { _ in
            Guesser(port: port, "GET / HTTP/1.1\r\nHost: localhost\r\n\(wrong)\r\n")
        }
        for _ in 0..<10 { #expect(try ask(port, basic("the right password")).hasPrefix("HTTP/1.1 200")) }
        // An established login does not even wait.
        let start = DispatchTime.now()
        for _ in 0..<20 { #expect(try ask(port, "Cookie: \(cookie)\r\n").hasPrefix("HTTP/1.1 200")) }
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
        #expect(seconds < (Sanitizer.isOn ? 20 : 2), "\(seconds) s")
        let (answers, took) = guessers.reduce((0, 0.0)) { sum, guesser in
            let (answers, took) = guesser.stop()
            return (sum.0 + answers, max(sum.1, took))
        }
        #expect(Double(answers) / took < 12, "\(answers) guesses in \(took) s")
    }

    /// Its own thread alone counts; the number is read when that has ended.
    private final class Guesser: @unchecked Sendable {
        private let socket: Socket?
        private let start = DispatchTime.now()
        private var answers = 0
        private let done = DispatchGroup()

        init(port: Int, _ request: String) {
            socket = try? Socket(connectingTo: port)
            done.enter()
            Thread.detachNewThread { [self] in
                while socket?.send(request) == true, socket?.receive(through: "its password.\n").isEmpty == false {
                    answers += 1
                }
                done.leave()
            }
        }

        /// - Returns: wrong passwords that were answered, and in how many seconds.
        func stop() -> (Int, Double) {
            socket?.close()
            done.wait()
            return (answers, Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9)
        }
    }

    @Test(
        "API and page take one Host and known methods only",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", "400"),
            ("GET / HTTP/1.1\r\n", "400"), ("FOO / HTTP/1.1\r\nHost: localhost\r\n", "405"),
            ("foo / HTTP/1.1\r\nHost: localhost\r\n", "405"), ("GET /healthz HTTP/1.0\r\n", "200|421"),
        ]
    )
    func requests(_ head: String, _ expected: String) throws {
        let rig = try HostileRig(
            cloud: "api: {listen: \"127.0.0.1:0\", directory: api}\ncockpit: {listen: \"127.0.0.1:0\"}"
        )
        defer { rig.stop() }
        for port in [try rig.port("api started"), try rig.port("cockpit started")] {
            let client = try Socket(connectingTo: port)
            client.send(head + "Connection: close\r\n\r\n")
            let status = client.receive(through: "\r\n").split(separator: " ").dropFirst().first.map(String.init) ?? ""
            #expect(expected.split(separator: "|").contains { $0 == status }, "\(status)")
        }
    }

    @Test("What an internal host says under SAP-Connectivity-* does not reach the client, in a head or in trailers")
    func internalHostsFields() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let server = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send(
                "HTTP/1.1 200 OK\r\nSAP-Connectivity-Authentication: Bearer x\r\nX-Own: y\r\n"
                    + "SAP-Connectivity-Technical-Authentication: z\r\nSAP-Connectivity-SCC-Location_ID: a\r\n"
                    + "SAP-Connectivity-Pin: b\r\nSap_Connectivity_Other: c\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2\r\nok\r\n0\r\nSAP-Connectivity-Authentication: t\r\nX-Sum: 1\r\n\r\n"
            )
        }
        defer { server.stop() }
        let conf = rig.folder.appending(path: "default.conf")
        let text = try String(contentsOf: conf, encoding: .utf8)
        try (text + Rig.system("fields.test:80", port: server.port)).write(to: conf, atomically: true, encoding: .utf8)
        #expect(try Rig.run(["reload", "--config", "default.conf"], rig.folder).status == 0)
        let client = try rig.connect()
        client.send("GET http://fields.test/ HTTP/1.1\r\nHost: fields.test\r\nConnection: close\r\n\r\n")
        let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self).lowercased()
        #expect(answer.contains("x-own: y") && answer.contains("ok"))
        #expect(!answer.contains("sap-connectivity") && !answer.contains("sap_connectivity"))
    }
}
