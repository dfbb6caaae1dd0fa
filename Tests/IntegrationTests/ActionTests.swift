import ConnectorTestSupport
import Foundation
import Testing

/// Actions from an OpenAPI description, and SAP Process Orchestration systems, as their users run them.
@Suite struct ActionTests {
    private static let spec = """
        openapi: 3.0.0
        info: {title: Hello, version: "1"}
        servers: [{url: empty}]
        paths:
          /hello:
            get:
              operationId: hello
              responses:
                "200":
                  description: ok
                  content: {application/json: {schema: {$ref: "#/components/schemas/Hello"}}}
          /wrong:
            get:
              operationId: wrong
              responses:
                "200":
                  description: ok
                  content: {application/json: {schema: {$ref: "#/components/schemas/Hello"}}}
          /items/{id}:
            delete:
              operationId: remove
              parameters: [{name: id, in: path, required: true}]
              responses: {"204": {description: gone}}
        components:
          schemas:
            Hello: {type: object, required: [message], properties: {message: {type: string}}}
        """

    private func control(_ rig: Rig, _ arguments: String...) throws -> (status: Int32, output: String) {
        let result = try Rig.run(arguments + ["--config", "cloud.conf"], rig.folder)
        return (result.status, result.output)
    }

    private func write(_ rig: Rig, _ name: String, _ text: String) throws {
        try text.write(to: rig.folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    @Test("A system that wants an X-CSRF-Token gets the one it gave, with the session that belongs to it")
    func token() throws {
        let backend = TestServer.http { head, _ in
            let head = head.lowercased()
            if head.contains("x-csrf-token: fetch") {
                let fields = "X-CSRF-Token: t-1\r\nSet-Cookie: session=s1; Path=/; HttpOnly\r\nSet-Cookie: usr=u1\r\n"
                // As some do, it gives HEAD nothing.
                return head.hasPrefix("head") ? TestServer.ok("") : TestServer.ok("{}", fields: fields)
            }
            let isGood = head.contains("x-csrf-token: t-1\r\n") && head.contains("cookie: session=s1; usr=u1\r\n")
            return isGood && head.hasPrefix("delete /items/7")
                ? "HTTP/1.1 204 No Content\r\n\r\n"
                : "HTTP/1.1 403 Forbidden\r\nX-CSRF-Token: Required\r\nContent-Length: 0\r\n\r\n"
        }
        defer { backend.stop() }
        let rig = try Rig(cloud: DestinationTests.cloud)
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system("internalhost:3333", port: backend.port, "{path: /, access: path-and-sub-paths}")
        )
        try write(rig, "hello.yaml", Self.spec)
        try write(
            rig,
            "good.properties",
            "Name=GOOD\nType=HTTP\nURL=http\\://internalhost\\:3333\nProxyType=OnPremise\n"
                + "sap.processautomation.enabled=true\nsap.applicationdevelopment.actions.enabled=true\n"
        )
        #expect(try control(rig, "destination", "import", "good.properties").status == 0)
        let call = [
            "action", "test", "--destination", "GOOD", "--spec", "hello.yaml", "--operation", "remove", "--set", "id=7",
        ]
        func run(_ more: String...) throws -> (status: Int32, output: String) {
            let result = try Rig.run(call + more + ["--config", "cloud.conf"], rig.folder)
            return (result.status, result.output)
        }
        #expect(try run().output.contains("403"))
        let good = try run("--csrf")
        #expect(good.status == 0 && good.output.contains("204"), "\(good.output)")
        #expect(try run("--csrf-path", "/service/").status == 0)
        // A description that asks for it, in Swagger, with a part in another file.
        try write(
            rig,
            "swagger.yaml",
            """
            swagger: "2.0"
            paths:
              /items/{id}:
                delete:
                  operationId: remove
                  parameters:
                    - &token {name: X-CSRF-Token, in: header, required: true, type: string}
                    - {name: id, in: path, required: true, type: integer}
                  responses: {204: {$ref: "answers.yaml#/removed"}}
            """
        )
        try write(rig, "answers.yaml", "removed: {description: gone}")
        let asked = try Rig.run(
            call.map { $0 == "hello.yaml" ? "swagger.yaml" : $0 } + ["--config", "cloud.conf"],
            rig.folder
        )
        #expect(asked.status == 0 && asked.output.contains("204"), "\(asked.output)")
    }

    @Test("The seed's action: tested, run, its message picked, and each failure on the way with its words")
    func hello() throws {
        let backend = TestServer.http { head, _ in
            func json(_ text: String, _ status: String = "200 OK") -> String {
                "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
            }
            if head.contains(" /hello ") { return json(#"{"message":"It's Hello World"}"#) }
            if head.contains(" /wrong ") { return json(#"{"massage":1}"#) }
            return head.hasPrefix("DELETE") ? "HTTP/1.1 204 No Content\r\n\r\n" : json(#"{"error":"no"}"#, "500 Oops")
        }
        defer { backend.stop() }
        let rig = try Rig(cloud: DestinationTests.cloud)
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(
                "internalhost:3333",
                port: backend.port,
                "{path: /hello, access: path-only}, {path: /wrong, access: path-only}"
            )
        )
        try write(rig, "hello.yaml", Self.spec)
        try write(
            rig,
            "plain.properties",
            "Name=PLAIN\nType=HTTP\nURL=http\\://internalhost\\:3333\nProxyType=OnPremise\n"
        )
        let enabled = "sap.processautomation.enabled=true\nsap.applicationdevelopment.actions.enabled=true\n"
        try write(
            rig,
            "good.properties",
            "Name=GOOD\nType=HTTP\nURL=http\\://internalhost\\:3333/\nProxyType=OnPremise\n\(enabled)"
        )
        try write(
            rig,
            "typo.properties",
            "Name=TYPO\nType=HTTP\nURL=http\\://internalhst\\:3333\nProxyType=OnPremise\n\(enabled)"
        )
        #expect(
            try control(rig, "destination", "import", "plain.properties", "good.properties", "typo.properties").status
                == 0
        )
        let list = try control(rig, "action", "list")
        #expect(list.output.contains("GOOD") && !list.output.contains("PLAIN"))

        let test = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--operation",
            "hello"
        )
        #expect(test.status == 0 && test.output.contains("GET http://internalhost:3333/hello"), "\(test.output)")
        #expect(test.output.contains("content-type: application/json") && test.output.contains("It's Hello World"))
        let run = try control(
            rig,
            "action",
            "run",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--operation",
            "hello",
            "--output",
            "subject=/message"
        )
        #expect(run.output == "subject='It'\\''s Hello World'\n")
        let wrong = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--operation",
            "wrong"
        )
        #expect(
            wrong.status == 2
                && wrong.output.contains("wrong: /message: expected a value, found nothing: the field is missing")
        )
        let hidden = try control(
            rig,
            "action",
            "test",
            "--destination",
            "PLAIN",
            "--spec",
            "hello.yaml",
            "--operation",
            "hello"
        )
        #expect(
            hidden.status == 1
                && hidden.output.contains("PLAIN is not offered to actions: add sap.processautomation.enabled=true")
        )
        let typo = try control(
            rig,
            "action",
            "test",
            "--destination",
            "TYPO",
            "--spec",
            "hello.yaml",
            "--operation",
            "hello"
        )
        #expect(
            typo.status == 2 && typo.output.contains("refused by policy (system): system not exposed"),
            "\(typo.output)"
        )
        let nothing = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--operation",
            "hallo"
        )
        #expect(nothing.status == 1 && nothing.output.contains("did you mean hello?"))

        let all = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--junit",
            "junit.xml"
        )
        #expect(all.status == 2 && all.output.contains("1 good, 1 failed, 1 skipped"), "\(all.output)")
        let report = try String(contentsOf: rig.folder.appending(path: "junit.xml"), encoding: .utf8)
        #expect(report.contains("tests=\"3\" failures=\"1\" skipped=\"1\""))
        let changes = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--changes",
            "--set",
            "id=7"
        )
        #expect(
            changes.output.contains("FAILED   remove: 403") && changes.output.contains("resource not exposed"),
            "\(changes.output)"
        )
        backend.stop()
        let down = try control(
            rig,
            "action",
            "test",
            "--destination",
            "GOOD",
            "--spec",
            "hello.yaml",
            "--operation",
            "hello"
        )
        #expect(
            down.status == 2 && down.output.contains("refused by backend (connect): connection refused"),
            "\(down.output)"
        )
    }

    /// An Integration Directory or ES Repository that demands its technical user.
    private static func system(_ path: String, _ credentials: String) -> TestServer {
        TestServer.http { head, _ in
            guard head.contains("Basic \(credentials)") else {
                return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            }
            let isKnown = head.hasPrefix("HEAD \(path) ")
            return "HTTP/1.1 \(isKnown ? "200 OK" : "404 Not Found")\r\nContent-Length: 0\r\n\r\n"
        }
    }

    @Test("A PO system with an ES Repository of its own: made, tested, and each failure explained")
    func processOrchestration() throws {
        let credentials = Data("po:secret".utf8).base64EncodedString()
        let directory = Self.system(
            "/IntegratedConfiguration750InService/IntegratedConfiguration750InImplBean",
            credentials
        )
        let repository = Self.system("/rep/read/ext", credentials)
        defer {
            directory.stop()
            repository.stop()
        }
        let rig = try Rig(cloud: DestinationTests.cloud)
        defer { rig.stop() }
        func mapping(_ name: String, _ port: Int, _ rest: String) -> String {
            "  - {virtual-host: \"\(name)\", internal-host: \"127.0.0.1:\(port)\", protocol: HTTP, back-end-type: PI, \(rest)}\n"
        }
        try rig.startConnector(
            systems: mapping("podir:50000", directory.port, "resource-preset: process-orchestration")
                + mapping("poesr:50000", repository.port, "resource-preset: process-orchestration")
                + mapping("pobare:50000", directory.port, "resources: [{path: /other, access: path-only}]")
        )
        try write(rig, "password", "secret\n")
        try write(rig, "wrong", "wrong\n")
        func add(_ name: String, _ arguments: String...) throws -> (status: Int32, output: String) {
            let all = ["po-system", "add", name, "--user", "po"] + arguments + ["--config", "cloud.conf"]
            let result = try Rig.run(all, rig.folder)
            return (result.status, result.output)
        }
        let made = try add(
            "P01",
            "--address",
            "http://podir:50000",
            "--password-file",
            "password",
            "--esr-address",
            "http://poesr:50000"
        )
        #expect(made.output == "PO_P01_DIR\nPO_P01_ESR\n")
        #expect(try control(rig, "destination", "show", "PO_P01_DIR").output.contains("esrdestination=PO_P01_ESR\n"))
        let good = try control(rig, "po-system", "test", "P01")
        #expect(
            good.status == 0 && good.output.contains("ok  HEAD http://poesr:50000/rep/read/ext  200: reached"),
            "\(good.output)"
        )

        _ = try add("PW", "--address", "http://podir:50000", "--password-file", "wrong")
        #expect(try control(rig, "po-system", "test", "PW").output.contains("401: user or password is wrong"))
        _ = try add("LOC", "--address", "http://podir:50000", "--password-file", "password", "--location-id", "nowhere")
        #expect(
            try control(rig, "po-system", "test", "LOC").output.contains(
                "no Cloud Connector with location ID \"nowhere\""
            )
        )
        _ = try add("BARE", "--address", "http://pobare:50000", "--password-file", "password")
        #expect(
            try control(rig, "po-system", "test", "BARE").output.contains(
                "add resource-preset: process-orchestration to pobare:50000"
            )
        )
        _ = try add("HOST", "--address", "http://nohost:50000", "--password-file", "password")
        #expect(try control(rig, "po-system", "test", "HOST").output.contains("nohost:50000 is not exposed"))
        // Only the directory is there, where both are wanted.
        _ = try add("ONE", "--address", "http://podir:50000", "--password-file", "password")
        let one = try control(rig, "po-system", "test", "ONE")
        #expect(one.status == 2 && one.output.contains("404: the service is missing in the system"))
        let underscore = try add("U", "--address", "http://po_host:50000", "--password-file", "password")
        #expect(underscore.status == 1 && underscore.output.contains("has an underscore"))

        // By hand, as the other way has it.
        try write(
            rig,
            "PO_P02_DIR.json",
            #"{"Name":"PO_P02_DIR","Type":"HTTP","URL":"http://podir:50000","ProxyType":"OnPremise","User":"po","Password":"secret","#
                + #""Authentication":"BasicAuthentication","systemname":"P02","esrdestination":"PO_P02_ESR"}"#
        )
        #expect(try control(rig, "destination", "import", "PO_P02_DIR.json").status == 0)
        let list = try control(rig, "po-system", "list")
        #expect(
            list.output.contains("P02: esrdestination names PO_P02_ESR, which is not a destination"),
            "\(list.output)"
        )
        #expect(try control(rig, "po-system", "test", "P03").output.contains("there is no PO system P03"))
    }
}
