import ConnectorTestSupport
import Foundation
import Testing

/// What an administrator changes with commands while the connector works.
@Suite(.serialized)
struct AdministrationTests {
    @Test("A command exposes a system and a path at once, and the audit log says who did it with what before and after")
    func changes() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("here") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port, "{path: /a, access: path-only}"),
            extra: "audit: {directory: audit}  # kept"
        )
        #expect(try rig.curl("http://new.test/b").contains("403 Forbidden"))
        let added = try rig.control(
            "system",
            "add",
            "new.test:80",
            "127.0.0.1:\(backend.port)",
            "--path-only",
            "/b",
            "--config",
            "connector0.conf"
        )
        #expect(added.status == 0 && added.output.contains("changed and in force"), "\(added.output)")
        #expect(try rig.curl("http://new.test/b").hasSuffix("here"))
        #expect(try rig.curl("http://new.test/c").contains("403 Forbidden"))
        #expect(try rig.control("resource", "add", "new.test:80", "/c", "--config", "connector0.conf").status == 0)
        #expect(try rig.curl("http://new.test/c").hasSuffix("here"))
        #expect(try rig.control("config", "restore", "2", "--config", "connector0.conf").status == 0)
        #expect(try rig.curl("http://new.test/b").contains("403 Forbidden"))
        let file = try String(contentsOf: rig.folder.appending(path: "connector0.conf"), encoding: .utf8)
        #expect(file.contains("audit: {directory: audit}  # kept") && !file.contains("new.test"))
        #expect(rig.connectors[0].stop() == 0)
        let audit = try rig.auditText()
        #expect(audit.contains("BackendMapping new.test:80 added: 127.0.0.1:\(backend.port), HTTP"))
        #expect(audit.contains("with connectord system add"))
        #expect(audit.contains("AllowedResource /c (path-only) of new.test:80 added"))
        #expect(
            audit.contains("BackendMapping new.test:80 removed") && audit.contains("with connectord config restore")
        )
        #expect(try rig.control("audit", "verify", "audit").status == 0)
    }

    @Test("A bad change leaves file and connector as they are and says what is wrong with it")
    func refusals() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("here") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        let file = rig.folder.appending(path: "connector0.conf")
        let before = try Data(contentsOf: file)
        let protocolName = try rig.control(
            "system",
            "change",
            "backend.test:80",
            "--protocol",
            "HTPS",
            "--config",
            "connector0.conf"
        )
        #expect(
            protocolName.status == 64 && protocolName.output.contains("did you mean HTTPS?"),
            "\(protocolName.output)"
        )
        let name = try rig.control("system", "remove", "backend.tset:80", "--config", "connector0.conf")
        #expect(name.status == 1 && name.output.contains("did you mean backend.test:80?"), "\(name.output)")
        let rehearsed = try rig.control(
            "system",
            "remove",
            "backend.test:80",
            "--dry-run",
            "--config",
            "connector0.conf"
        )
        #expect(rehearsed.status == 0 && rehearsed.output.contains("not changed: --dry-run"), "\(rehearsed.output)")
        #expect(try Data(contentsOf: file) == before)
        #expect(try rig.curl("http://backend.test/").hasSuffix("here"))
        // Without a connector that runs, the file alone is changed.
        rig.connectors[0].stop()
        let alone = try rig.control(
            "system",
            "change",
            "backend.test:80",
            "--description",
            "x",
            "--config",
            "connector0.conf"
        )
        #expect(alone.status == 0 && alone.output.contains("no connector answers on connector.sock"), "\(alone.output)")
    }

    @Test("Who asks one side as if it were the other is told which it is")
    func sides() throws {
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: 1))
        let service = try rig.control("status", "--config", "cloud.conf")
        #expect(service.status == 1 && service.output.contains("this is a connectivity service; ask it with --cloud"))
        let connector = try rig.control("status", "--cloud", "--config", "connector0.conf")
        #expect(connector.status == 1 && connector.output.contains("this is a connector; ask it without --cloud"))
    }

    @Test("While connections carry requests, changes by command and by hand in turn lose no request and no edit")
    func underLoad() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "audit: {directory: audit}",
            connections: 2
        )
        let load = Load(ports: [rig.proxyPort], connections: 8)
        for number in 0..<20 {
            let added = try rig.control(
                "system",
                "add",
                "c\(number).test:80",
                "127.0.0.1:1",
                "--path-only",
                "/x",
                "--config",
                "connector0.conf"
            )
            #expect(added.status == 0, "\(added.output)")
            try rig.rewrite {
                $0
                    + "  - {virtual-host: \"h\(number).test:80\", internal-host: \"127.0.0.1:1\", protocol: HTTP}  # by hand\n"
            }
        }
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        let result = load.stop()
        #expect(result.lost == 0 && result.refused == 0 && result.answered > 0, "\(result)")
        let text = try String(contentsOf: rig.folder.appending(path: "connector0.conf"), encoding: .utf8)
        for number in 0..<20 { #expect(text.contains("c\(number).test:80") && text.contains("h\(number).test:80")) }
        #expect(text.components(separatedBy: "# by hand").count == 21)
        // The last record may be on its way into the file.
        #expect(try Rig.eventually { try rig.control("audit", "verify", "audit").status == 0 })
    }

    @Test("The mappings of a Cloud Connector become files that a connector runs with, and what is there already stays")
    func importing() throws {
        let scc = TestServer.http { head, _ in
            guard head.lowercased().contains("authorization: basic qwrtaw5pc3ryyxrvcjpwdw==") else {
                return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            }
            let path = String(head.split(separator: " ")[1])
            let answers = [
                "/api/v1/connector/version": #"{"version":"2.19.0.2"}"#,
                "/api/v1/configuration/subaccounts":
                    #"[{"_links":{},"regionHost":"r.example.com","subaccount":"test","locationID":""}]"#,
                "/api/v1/configuration/subaccounts/r.example.com/test":
                    #"{"regionHost":"r.example.com","subaccount":"test","locationID":"","displayName":"Test"}"#,
                "/api/v1/configuration/subaccounts/r.example.com/test/systemMappings":
                    #"[{"virtualHost":"v","virtualPort":"80","localHost":"h","localPort":"8080","protocol":"HTTP","authenticationMode":"NONE"}]"#,
                "/api/v1/configuration/subaccounts/r.example.com/test/systemMappings/v:80/resources":
                    #"[{"id":"/x/","enabled":true,"exactMatchOnly":false,"websocketUpgradeAllowed":false}]"#,
            ]
            guard let answer = answers[path] else { return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" }
            return TestServer.ok(answer)
        }
        defer { scc.stop() }
        let folder = TemporaryDirectory()
        let url = URL(filePath: folder.path)
        try "pw\n".write(toFile: folder.path + "/password", atomically: true, encoding: .utf8)
        try "no\n".write(toFile: folder.path + "/wrong", atomically: true, encoding: .utf8)
        let address = "http://127.0.0.1:\(scc.port)"
        let wrong = try Rig.run(["import", "scc", address, "--password-file", "wrong", "--output", "a"], url)
        #expect(wrong.status == 1 && wrong.output.contains("does not take this user and password"), "\(wrong.output)")
        let done = try Rig.run(["import", "scc", address, "--password-file", "password", "--output", "a"], url)
        #expect(done.status == 0 && done.output.contains("a/connector.conf"), "\(done.output)")
        #expect(try Rig.run(["check-config", "a/connector.conf"], url).output.contains("usable"))
        let explained = try Rig.run(["explain", "GET", "http://v:80/x/y", "--config", "a/connector.conf"], url)
        #expect(explained.status == 0 && explained.output.contains("h:8080"), "\(explained.output)")
        let again = try Rig.run(["import", "scc", address, "--password-file", "password", "--output", "a"], url)
        #expect(again.status == 1 && again.output.contains("is there already"), "\(again.output)")
        let plain = try Rig.run(["import", "scc", "http://scc.example.com", "--password-file", "password"], url)
        #expect(plain.status == 1 && plain.output.contains("not sent over plain http"), "\(plain.output)")
    }
}
