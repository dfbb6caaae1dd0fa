import ConnectorTestSupport
import Foundation
import Testing

/// Learn mode and rehearsals with the built program.
@Suite(.serialized)
struct LearningTests {
    private func start(_ access: String = "") throws -> (Rig, TestServer) {
        let rig = try Rig()
        let backend = TestServer.http { _, _ in TestServer.ok("here") }
        let system = """
              - virtual-host: erp:80
                internal-host: 127.0.0.1:\(backend.port)
                protocol: HTTP
                \(access)
                resources:
                  - {path: /hello, access: path-only}
            """
        try rig.startConnector(systems: system, extra: "audit: {directory: audit}")
        return (rig, backend)
    }

    @Test(
        "While a system learns everything passes; what was asked for becomes the fewest resources, and then only they pass"
    )
    func learn() throws {
        let (rig, backend) = try start()
        defer {
            rig.stop()
            backend.stop()
        }
        let config = ["--config", "connector0.conf"]
        func command(_ arguments: String...) throws -> (status: Int32, output: String) {
            try Rig.run(arguments + config, rig.folder)
        }
        #expect(try rig.curl("http://erp/orders/1").contains("403"))
        #expect(try command("learn", "start", "erp:80", "--for", "2d").output.contains("a day at most"))
        let started = try command("learn", "start", "erp:80", "--for", "1h")
        #expect(started.status == 0 && started.output.contains("EVERYTHING below this host passes"), "\(started)")
        for path in ["orders/1", "orders/2", "orders/3/items", "s/$metadata", "ping"] {
            #expect(try rig.curl("http://erp/\(path)").hasSuffix("here"), "\(path)")
        }
        #expect(
            try rig.control("status", "--socket", "connector.sock").output.contains("LEARNS: everything passes until")
        )
        let shown = try command("learn", "propose").output
        for text in [
            "/orders/ (path-and-sub-paths): 3 keys vary here, 4 requests", "/ping (path-only)",
            "/s/ (path-and-sub-paths): an OData service",
        ] {
            #expect(shown.contains(text), "\(shown)")
        }
        let accepted = try command("learn", "propose", "erp:80", "--accept", "/orders/", "--accept", "/ping")
        #expect(
            accepted.status == 0 && accepted.output.contains("- ") && accepted.output.contains("path: /orders/"),
            "\(accepted)"
        )
        #expect(try rig.curl("http://erp/orders/77").hasSuffix("here") && rig.curl("http://erp/ping").hasSuffix("here"))
        #expect(try rig.curl("http://erp/s/$metadata").contains("403"), "what was not accepted")
        #expect(try rig.curl("http://erp/other").contains("403"), "learning is over")
        #expect(rig.connectors[0].stop() == 0)
        let audit = try rig.auditText()
        #expect(audit.contains("LEARNS: everything passes until") && audit.contains("learns no more"))
    }

    @Test("Learning ends by itself at its time, even where the file cannot be read any more")
    func end() throws {
        let formatter = ISO8601DateFormatter()
        let (rig, backend) = try start("access: learn until \(formatter.string(from: Date() + 8))")
        defer {
            rig.stop()
            backend.stop()
        }
        #expect(try rig.curl("http://erp/x").hasSuffix("here"))
        try rig.rewrite { "broken: [\n" + $0 }
        try rig.connectors[0].wait(for: "learning is over")
        #expect(try rig.curl("http://erp/x").contains("403"))
        #expect(try rig.curl("http://erp/hello").hasSuffix("here"))
    }

    @Test("A file that is to come is held against what was asked for")
    func rehearse() throws {
        let (rig, backend) = try start()
        defer {
            rig.stop()
            backend.stop()
        }
        for _ in 0..<3 { _ = try rig.curl("http://erp/hello") }
        _ = try rig.curl("http://erp/x")
        let new = rig.folder.appending(path: "new.conf")
        let text = try String(contentsOf: rig.folder.appending(path: "connector0.conf"), encoding: .utf8)
        func rehearse(_ text: String) throws -> (status: Int32, output: String) {
            try text.write(to: new, atomically: true, encoding: .utf8)
            return try rig.control("rehearse", "--config", "new.conf", "--running", "connector0.conf")
        }
        let same = try rehearse(text + "# the same\n")
        #expect(same.status == 0 && same.output.contains("nothing would change for 4 requests"), "\(same)")
        let other = try rehearse(text.replacing("/hello", with: "/x"))
        #expect(other.status == 2, "\(other)")
        #expect(other.output.contains("GET http://erp:80/hello (3 requests): now allowed"), "\(other)")
        #expect(
            other.output.contains("GET http://erp:80/x (1 request): now refused: resource not exposed; then allowed")
        )
        #expect(try rehearse("nonsense: 1").status == 64)
    }
}
