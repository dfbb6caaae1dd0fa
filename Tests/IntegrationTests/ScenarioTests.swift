import ConnectorTestSupport
import Foundation
import Testing

/// What a user does first, with the built program and curl.
@Suite(.serialized)
struct ScenarioTests {
    static let folder = FileManager.default.temporaryDirectory

    @Test("The demonstration shows what it promises and ends well")
    func demo() throws {
        let (status, output) = try Rig.run(
            ["demo", "--once", "--proxy-port", "0", "--tunnel-port", "0", "--backend-port", "0"],
            Self.folder
        )
        #expect(status == 0, "\(output)")
        for text in [
            "200 OK: {\"message\":\"Hello World\"}", "403 Forbidden: Access denied to system internalhst:3333.",
            "403 Forbidden: Access denied to resource /admin on system internalhost:3333.",
            "502 Bad Gateway: Unable to open connection to backend system",
            "503 Service Unavailable: There is no SAP Cloud Connector (SCC) connected to your subaccount",
            "Connection to \"ON_PREM_HELLO_WORLD\" established. Response returned: \"200: OK\"",
            "Backend is not available in the list of defined system mappings in Cloud Connector.",
            "Resource is not accessible in Cloud Connector or backend is not reachable.",
            "Backend is not reachable from Cloud Connector.", "subject='Hello World'",
        ] {
            #expect(output.contains(text))
        }
    }

    @Test("Each error has its status, text and Proxy-Status, and one log line with the request ID of the answer")
    func errors() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("{\"message\":\"Hello World\"}\n") }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(
            systems: Rig.system(
                "internalhost:3333",
                port: backend.port,
                "{path: /hello, access: path-only}, {path: /off, access: path-only, active: false}"
            )
        )
        #expect(try rig.curl("http://internalhost:3333/hello").hasSuffix("{\"message\":\"Hello World\"}\n"))

        func expect(
            _ url: String,
            _ status: String,
            _ text: String,
            _ proxyStatus: String,
            loggedBy process: LoggedProcess,
            arguments: [String] = []
        ) throws {
            let marks = (rig.cloud.mark, connector.mark)
            let output = try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-i", "-x", "127.0.0.1:\(rig.proxyPort)"] + arguments + [url],
                rig.folder
            ).output
            #expect(output.hasPrefix("HTTP/1.1 \(status) "), "\(output)")
            #expect(output.contains(text) && output.contains("proxy-status: \(proxyStatus)"), "\(output)")
            #expect(output.contains("content-type: text/plain; charset=utf-8"))
            let field = output.split(separator: "\r\n").first { $0.hasPrefix("x-request-id: ") }
            let id = try #require(field?.dropFirst("x-request-id: ".count))
            let line = try process.wait(for: "request_id=\"\(id)\"")
            #expect(line.contains("status=\"\(status)\""))
            let lines = rig.cloud.log(after: marks.0) + connector.log(after: marks.1)
            #expect(lines.filter { $0.contains("request_id=") }.count == 1, "\(lines)")
        }

        try expect(
            "http://internalhst:3333/hello",
            "403",
            "Access denied to system internalhst:3333. In case this was a valid request, ensure to expose the system correctly in your cloud connector.",
            "cloud-connector; error=http_request_denied; details=\"source=policy phase=system",
            loggedBy: connector
        )
        try expect(
            "http://internalhost:3333/admin?x=1",
            "403",
            "Access denied to resource /admin on system internalhost:3333. In case this was a valid request, ensure to expose the resource correctly in your cloud connector.",
            "cloud-connector; error=http_request_denied; details=\"source=policy phase=resource: resource not exposed",
            loggedBy: connector
        )
        try expect(
            "http://internalhost:3333/off",
            "403",
            "Access denied to resource /off",
            "cloud-connector; error=http_request_denied; details=\"source=policy phase=resource: resource suspended",
            loggedBy: connector
        )
        try expect(
            "http://internal_host:3333/hello",
            "400",
            "underscore",
            "connectivity-service; error=http_request_error; details=\"source=client phase=request",
            loggedBy: rig.cloud
        )
        try expect(
            "http://internalhost:3333/hello",
            "503",
            "There is no SAP Cloud Connector (SCC) connected to your subaccount matching the requested tunnel for subaccount \"test\" and SCC location ID \"x\\x5cy\".",
            "connectivity-service; error=destination_unavailable; details=\"source=tunnel phase=tunnel",
            loggedBy: rig.cloud,
            arguments: ["-H", "SAP-Connectivity-SCC-Location_ID: x\\y"]
        )
        backend.stop()
        try expect(
            "http://internalhost:3333/hello",
            "502",
            "Unable to open connection to backend system internalhost:3333: connection refused",
            "cloud-connector; error=connection_refused; details=\"source=backend phase=connect",
            loggedBy: connector
        )
        connector.stop()
        try rig.cloud.wait(for: "tunnel disconnected")
        try expect(
            "http://internalhost:3333/hello",
            "503",
            "SCC location ID \"\".",
            "connectivity-service; error=destination_unavailable",
            loggedBy: rig.cloud
        )
    }

    @Test("HEAD gets no body, not even with an error")
    func head() throws {
        let backend = TestServer.http { _, _ in "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port, "{path: /ok, access: path-only}"))
        let socket = try rig.connect()
        for (path, status, length) in [("/ok", 200, "5"), ("/no", 403, nil), ("/ok", 200, "5")]
            as [(String, Int, String?)]
        {
            socket.send("HEAD http://backend.test\(path) HTTP/1.1\r\nHost: backend.test\r\n\r\n")
            let head = Array(socket.receive(through: "\r\n\r\n").utf8)
            let response = SimpleHTTP.responses(head, isHead: true)[0]
            #expect(response.status == status)
            #expect(length == nil || response.field("content-length") == length)
            #expect(!socket.isReadable(within: 50))
        }
    }

    @Test("CONNECT and https are refused with 405")
    func https() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let output = try rig.curl("https://internalhost:3333/")
        #expect(output.contains("HTTP/1.1 405 ") && output.contains("allow: "), "\(output)")
        let socket = try rig.connect()
        socket.send("GET https://internalhost:3333/ HTTP/1.1\r\nHost: internalhost:3333\r\n\r\n")
        #expect(SimpleHTTP.responses(socket.receiveToEnd().bytes)[0].text.contains("HTTPS proxying is not supported"))
    }

    @Test("check-config and explain tell their verdict by their exit status")
    func exitStatus() throws {
        let folder = Self.folder.appending(path: "connectord-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let good = Repository.root.appending(path: "etc/connector.conf").path
        try "subaccount: a\n".write(to: folder.appending(path: "bad.conf"), atomically: true, encoding: .utf8)
        #expect(try Rig.run(["check-config", good], folder).status == 0)
        let bad = try Rig.run(["check-config", good, "bad.conf"], folder)
        #expect(bad.status == 64 && bad.output.contains("bad.conf:1:1: error: tunnel: is missing"))
        #expect(try Rig.run(["run", "--config", "bad.conf"], folder).status == 64)
        #expect(
            try Rig.run(["run", "--config", "none.conf"], folder).output.contains(
                "none.conf:1:1: error: cannot be read"
            )
        )
        // All folders are made, and then there is no certificate.
        try String(contentsOfFile: good, encoding: .utf8)
            .replacingOccurrences(of: "/var/log/connector", with: "log/of/connector")
            .write(to: folder.appending(path: "own.conf"), atomically: true, encoding: .utf8)
        let run = try Rig.run(["run", "--config", "own.conf"], folder)
        #expect(run.status == 64 && run.output.contains("is this connector enrolled?"), "\(run.output)")
        #expect(FileManager.default.fileExists(atPath: folder.appending(path: "log/of/connector/audit/audit.key").path))
        #expect(
            try Rig.run(["explain", "--config", good, "GET", "http://internalhost:3333/hello"], folder).status == 0
        )
        #expect(try Rig.run(["explain", "--config", good, "GET", "http://internalhost:3333/x"], folder).status == 1)
    }

    @Test("The location ID chooses the connector, case-sensitively")
    func locationIDs() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("plant") }
        defer { backend.stop() }
        let rig = try Rig(locationIDs: ["Plant4"])
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port), extra: "location-id: Plant4")
        let header = "SAP-Connectivity-SCC-Location_ID: "
        #expect(try rig.curl("-H", header + "Plant4", "http://backend.test/").hasSuffix("plant"))
        #expect(try rig.curl("-H", header + "plant4", "http://backend.test/").hasPrefix("HTTP/1.1 503"))
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 503"))
    }
}
