import ConnectorTestSupport
import Foundation
import Testing

/// Whatever goes wrong has one name: in the answer, in the log, in the metrics and in what `status` shows of requests.
@Suite(.serialized) struct AgreementTests {
    /// What a program gets to know.
    private struct Answer {
        var status: String
        var id: String
        var side: String
        var error: String
        var phase: String

        init?(_ head: String) {
            func field(_ name: String) -> Substring? {
                head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name + ": ") }?.dropFirst(
                    name.count + 2
                )
            }
            guard let report = field("proxy-status"), let id = field("x-request-id"),
                let error = report.range(of: "error="), let phase = report.range(of: "phase=")
            else { return nil }
            status = String(head.split(separator: " ").dropFirst().first ?? "")
            self.id = String(id)
            side = String(report.prefix { $0 != ";" })
            self.error = String(report[error.upperBound...].prefix { $0 != ";" })
            self.phase = String(report[phase.upperBound...].prefix { $0 != ":" })
        }
    }

    struct Listed: Decodable {
        var id: String
        var decision: String
        var error: String?
        var status: Int?
    }

    static func requests(_ rig: Rig, _ isCloud: Bool) throws -> [Listed] {
        let arguments = ["status", "--requests", "--json", "--socket", isCloud ? "cloud.sock" : "connector.sock"]
        let output = try Rig.run(arguments + (isCloud ? ["--cloud"] : []), rig.folder).output
        return try JSONDecoder().decode([Listed].self, from: Data(output.utf8))
    }

    static func metrics(_ rig: Rig, _ isCloud: Bool) throws -> [Substring] {
        try OperationTests.curl(rig, "/metrics", socket: isCloud ? "cloud.sock" : "connector.sock").split(
            separator: "\n"
        )
    }

    /// Compares all views of one failure.
    ///
    /// - Parameter isKnownToConnector: false where none is there any more.
    static func expectAgreement(
        _ rig: Rig,
        _ head: String,
        _ error: String,
        _ phase: String,
        isKnownToConnector: Bool = true
    ) throws {
        let answer = try #require(Answer(head), "\(head)")
        #expect(answer.error == error && answer.phase == phase, "\(head)")
        let isCloud = answer.side == "connectivity-service"
        let process = isCloud ? rig.cloud : try #require(rig.connectors.last)
        let line = try process.wait(for: "request_id=\"\(answer.id)\"")
        for text in ["error=\"\(error)\"", "phase=\"\(phase)\"", "status=\"\(answer.status)\""] {
            #expect(line.contains(text), "\(line)")
        }
        let sample = try metrics(rig, isCloud).filter {
            $0.contains("refusals_total{") && $0.contains("error=\"\(error)\"") && $0.contains("phase=\"\(phase)\"")
        }
        #expect(!sample.isEmpty, "\(error) \(phase)")
        // The service lists its own and those of connectors; a connector those that came to it.
        for side in isCloud || !isKnownToConnector ? [true] : [true, false] {
            let listed = try requests(rig, side).first { $0.id == answer.id }
            #expect(listed?.error == error && listed?.decision == phase, "\(String(describing: listed))")
            #expect(listed?.status.map(String.init) == answer.status)
        }
    }

    @Test("What internal hosts do wrong has the same name in all four views")
    func internalHosts() throws {
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let silent = TestServer { socket, _ in
            while let piece = socket.receive(), !piece.isEmpty {}
            socket.close()
        }
        defer { silent.stop() }
        let hangsUp = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.close()
        }
        defer { hangsUp.stop() }
        let nonsense = TestServer.http { _, _ in "hello\r\n\r\n" }
        defer { nonsense.stop() }
        let banner = TestServer { socket, _ in
            socket.send("220 mail.test ESMTP\r\n")
            while let piece = socket.receive(), !piece.isEmpty {}
            socket.close()
        }
        defer { banner.stop() }
        let endless = TestServer.http { _, _ in
            "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 400_000) + "\r\n\r\n"
        }
        defer { endless.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        func system(_ name: String, _ host: String, _ kind: String = "HTTP", _ extra: String = "") -> String {
            "  - {virtual-host: \"\(name):80\", internal-host: \"\(host)\", protocol: \(kind), "
                + "resources: [{path: /, access: path-and-sub-paths}]\(extra)}\n"
        }
        try rig.startConnector(
            systems: system("down.test", "127.0.0.1:\(closed.port)") + system("name.test", "no-such-name.invalid:80")
                + system("slow.test", "127.0.0.1:\(silent.port)", "HTTP", ", response-timeout: 1s")
                + system("hangs.test", "127.0.0.1:\(hangsUp.port)")
                + system("nonsense.test", "127.0.0.1:\(nonsense.port)")
                + system("endless.test", "127.0.0.1:\(endless.port)")
                + system("plain.test", "127.0.0.1:\(banner.port)", "HTTPS")
                + system("mute.test", "127.0.0.1:\(silent.port)", "HTTPS")
        )
        for (host, error, phase) in [
            ("down.test", "connection_refused", "connect"), ("name.test", "dns_error", "connect"),
            ("slow.test", "http_response_timeout", "response-head"),
            ("nonsense.test", "http_protocol_error", "response-head"),
            ("hangs.test", "connection_terminated", "response-head"),
            ("endless.test", "http_response_header_size", "response-head"),
            ("plain.test", "tls_protocol_error", "tls"), ("mute.test", "connection_timeout", "tls"),
        ] {
            try Self.expectAgreement(rig, try rig.curl("http://\(host)/"), error, phase)
        }
    }

    @Test("A certificate of an internal host that is not accepted has the same name in all four views")
    func certificates() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let clock = try ShiftedClock(rig.folder)
        try clock.move(-40 * 86_400)
        // A month long, and over for ten days.
        for (folder, name, wrapper) in [
            ("old", "localhost", clock.wrapper), ("other", "other.test", []), ("stranger", "localhost", []),
        ] {
            let all =
                wrapper + [
                    Repository.connectord.path, "certificates", "--directory", folder, "--subaccount", "x",
                    "--service-name", name,
                ]
            let made = try Rig.run(URL(filePath: "/usr/bin/env"), all, rig.folder)
            #expect(made.status == 0, "\(made.output)")
        }
        var servers: [TLSTestServer] = []
        var systems = ""
        for folder in ["old", "other", "stranger"] {
            let files = rig.folder.appending(path: folder)
            let server = try await TLSTestServer.start(
                certificate: files.appending(path: "service.pem").path,
                key: files.appending(path: "service.key").path,
                response: TestServer.ok("")
            )
            servers.append(server)
            systems +=
                "  - {virtual-host: \"\(folder).test:80\", internal-host: \"localhost:\(server.port)\", protocol: HTTPS, "
                + "resources: [{path: /, access: path-and-sub-paths}]}\n"
        }
        try rig.startConnector(
            systems: systems,
            extra: "backend-trust: {certificates: [old/ca.pem, other/ca.pem]}"
        )
        for (folder, cause) in [
            ("old", "has expired"), ("other", "is for another name"), ("stranger", "is not accepted here"),
        ] {
            let answer = try rig.curl("http://\(folder).test/")
            #expect(answer.contains(cause), "\(answer)")
            try Self.expectAgreement(rig, answer, "tls_certificate_error", "tls")
            // What looks by itself says the same.
            let check = try rig.control("check", "--config", "connector0.conf").output
            #expect(check.contains(cause), "\(check)")
        }
        for server in servers { try await server.stop() }
    }

    @Test("What policy, service and clients refuse has the same name in all four views")
    func refusals() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port, "{path: /a, access: path-only}"))
        try Self.expectAgreement(rig, try rig.curl("http://typo.test/a"), "http_request_denied", "system")
        try Self.expectAgreement(rig, try rig.curl("http://backend.test/b"), "http_request_denied", "resource")
        try Self.expectAgreement(rig, try rig.curl("http://back_end.test/a"), "http_request_error", "request")
        let location = "SAP-Connectivity-SCC-Location_ID: elsewhere"
        let head = try rig.curl("-H", location, "http://backend.test/a")
        try Self.expectAgreement(rig, head, "destination_unavailable", "tunnel")
        let long = String(repeating: "x", count: 20_000)
        try Self.expectAgreement(rig, try rig.curl("http://backend.test/\(long)"), "http_request_error", "request")
        let large = "X-Large: " + String(repeating: "x", count: 20_000)
        try Self.expectAgreement(
            rig,
            try rig.curl("-H", large, "http://backend.test/a"),
            "http_request_error",
            "request"
        )
    }

    @Test("A response that breaks off has its ID in the logs of both sides, and in what they list")
    func brokenOff() throws {
        let breaking = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten octets")
            socket.close()
        }
        defer { breaking.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: breaking.port))
        let output = try rig.curl("-H", "X-Request-ID: of-the-client", "http://backend.test/")
        #expect(output.contains("HTTP/1.1 200"), "\(output)")
        for process in [connector, rig.cloud] {
            let line = try process.wait(for: "request_id=\"of-the-client\"")
            #expect(line.contains("phase=\"response-body\"") && line.contains("error=\""), "\(line)")
        }
        for isCloud in [true, false] {
            let isListed = try Rig.eventually {
                try Self.requests(rig, isCloud).contains { $0.id == "of-the-client" && $0.decision == "response-body" }
            }
            #expect(isListed)
            let isCounted = try Self.metrics(rig, isCloud).contains {
                $0.contains("refusals_total{") && $0.contains("phase=\"response-body\"")
            }
            #expect(isCounted, "\(isCloud)")
        }
    }

    @Test("The ID of a request is the client's where it is well-formed, and the same everywhere")
    func identifiers() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        defer { backend.stop() }
        let rig = try Rig(cloud: "log: {access: true}")
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: backend.port), extra: "log: {access: true}")
        func id(_ arguments: String...) throws -> String {
            let output = try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-i", "-x", "127.0.0.1:\(rig.proxyPort)"] + arguments + ["http://backend.test/"],
                rig.folder
            ).output
            let line = output.split(separator: "\r\n").first { $0.lowercased().hasPrefix("x-request-id: ") }
            return String(try #require(line).dropFirst(14))
        }
        #expect(try id("-H", "X-Request-ID: abc-1") == "abc-1")
        #expect(try id("-H", "X-CorrelationID: abc-2") == "abc-2")
        #expect(try id("-H", "X-Request-ID: two words") != "two words")
        #expect(try id("-H", "X-Request-ID: " + String(repeating: "x", count: 129)).count == 15)
        let own = try id()
        #expect(own.count == 15 && own.allSatisfy(\.isHexDigit))
        for name in ["abc-1", "abc-2", own] {
            for process in [connector, rig.cloud] {
                let line = try process.wait(for: "request_id=\"\(name)\"")
                #expect(line.contains("status=\"200\"") && line.contains("ms=\""), "\(line)")
            }
        }
    }
}
