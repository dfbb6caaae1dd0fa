import ConnectorTestSupport
import Foundation
import Testing

/// The destination service, Check Connection and the command line, as developers and administrators use them.
@Suite struct DestinationTests {
    static let cloud = """
        proxy: {listen: "127.0.0.1:PORT", authorization: token}
        api: {listen: "127.0.0.1:0", directory: api, tenants: [{subaccount: other, subdomain: tenant1}]}
        """

    struct Answer {
        var status: Int
        var headers: String
        var body: String
        var object: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]) ?? [:]
        }
        var array: [[String: Any]] {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [[String: Any]]) ?? []
        }
        var names: [String] { array.compactMap { $0["Name"] as? String ?? $0["name"] as? String } }
    }

    final class API {
        let rig: Rig
        private let tokenText: String

        init(_ rig: Rig, subaccount: String = "test") throws {
            self.rig = rig
            let arguments = ["token", "--service", "destination", "--subaccount", subaccount, "--config", "cloud.conf"]
            let result = try Rig.run(arguments, rig.folder)
            #expect(result.status == 0, "\(result.output)")
            tokenText = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        func ask(_ method: String, _ path: String, _ body: String = "", _ fields: String...) throws -> Answer {
            var arguments = ["-s", "-i", "-m", "20", "-X", method, "-H", "Authorization: Bearer \(tokenText)"]
            if !body.isEmpty { arguments += ["-H", "Content-Type: application/json", "--data-binary", body] }
            if method == "HEAD" { arguments.append("-I") }
            for field in fields { arguments += ["-H", field] }
            arguments.append("http://127.0.0.1:\(rig.apiPort)/destination-configuration/\(path)")
            return try Self.run(arguments, rig)
        }

        static func run(_ arguments: [String], _ rig: Rig) throws -> Answer {
            let output = try Rig.run(URL(filePath: "/usr/bin/curl"), arguments, rig.folder).output
            let parts = output.components(separatedBy: "\r\n\r\n")
            let status = parts[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            return Answer(
                status: status,
                headers: parts[0].lowercased(),
                body: parts.dropFirst().joined(separator: "\r\n\r\n")
            )
        }
    }

    private func rig() throws -> Rig { try Rig(cloud: Self.cloud) }

    private func control(_ rig: Rig, _ arguments: String...) throws -> (status: Int32, output: String) {
        let result = try Rig.run(["destination"] + arguments + ["--config", "cloud.conf"], rig.folder)
        return (result.status, result.output)
    }

    @Test("A destination is found with owner and token, and the one that is not there with the exact text")
    func find() throws {
        let rig = try rig()
        defer { rig.stop() }
        let api = try API(rig)
        let basic =
            #"{"Name":"TestBasic","Type":"HTTP","URL":"http://sap.com","ProxyType":"OnPremise","#
            + #""Authentication":"BasicAuthentication","User":"test","Password":"pass12345","sap-client":"100"}"#
        let created = try api.ask("POST", "v1/subaccountDestinations", basic)
        #expect(created.status == 201 && created.body.isEmpty)
        let found = try api.ask("GET", "v1/destinations/TestBasic")
        #expect(found.status == 200)
        let owner = found.object["owner"] as? [String: Any]
        #expect(owner?["SubaccountId"] as? String == "test" && owner?["InstanceId"] is NSNull)
        let tokens = found.object["authTokens"] as? [[String: Any]]
        let header = tokens?.first?["http_header"] as? [String: String]
        #expect(header == ["key": "Authorization", "value": "Basic dGVzdDpwYXNzMTIzNDU="])
        #expect(found.headers.contains("etag: "))
        let skipped = try api.ask("GET", "v1/destinations/TestBasic?%24skipTokenRetrieval=true&$skipCredentials=true")
        #expect(skipped.object["authTokens"] == nil && !skipped.body.contains("pass12345"))
        // A Basic token is the password as well.
        let bare = try api.ask("GET", "v1/destinations/TestBasic?$skipCredentials=true")
        #expect(bare.status == 200 && bare.object["authTokens"] == nil && !bare.body.contains("pass12345"))
        let missing = try api.ask("GET", "v1/destinations/nope")
        #expect(missing.status == 404)
        #expect(missing.body == #"{"ErrorMessage":"Configuration with the specified name was not found"}"#)

        let levelled = try api.ask("GET", "v2/destinations/TestBasic@subaccount?$includeMetadata=owner")
        #expect(levelled.object["owner"] == nil && levelled.body.contains("$metadata"))
        #expect(try api.ask("GET", "v2/destinations/TestBasic@instance").status == 404)
        #expect(try api.ask("GET", "v2/destinations/TestBasic@everywhere").status == 400)
        // The subscriber sees its own, and the provider's where it asks for them.
        let other = try API(rig, subaccount: "other")
        #expect(try other.ask("GET", "v1/destinations/TestBasic").status == 404)
        #expect(try other.ask("GET", "v2/destinations/TestBasic@provider_subaccount").status == 200)
    }

    @Test("Create, change, list and delete keep to what SAP's OpenAPI document says")
    func administration() throws {
        let rig = try rig()
        defer { rig.stop() }
        let api = try API(rig)
        let many = (1...3).map { #"{"Name":"D\#($0)","Type":"HTTP","URL":"http://d\#($0)"}"# }.joined(separator: ",")
        let bulk = try api.ask("POST", "v1/subaccountDestinations", "[\(many)]")
        #expect(bulk.status == 201 && bulk.names == ["D1", "D2", "D3"])
        #expect(try api.ask("POST", "v1/subaccountDestinations", #"{"Name":"D1","Type":"HTTP"}"#).status == 409)
        let mixed = #"[{"Name":"D1","Type":"HTTP"},{"Name":"D9","Type":"HTTP"}]"#
        #expect(try api.ask("PUT", "v1/subaccountDestinations", mixed).status == 207)
        let changed = try api.ask(
            "PUT",
            "v1/subaccountDestinations",
            #"{"Name":"D2","Type":"HTTP","URL":"http://new"}"#
        )
        #expect(changed.status == 200 && changed.object["Count"] as? Int == 1)
        #expect(try api.ask("PUT", "v1/subaccountDestinations", #"{"Name":"D9","Type":"HTTP"}"#).status == 404)

        let page = try api.ask(
            "GET",
            "v1/subaccountDestinations?%24page=1&%24pageSize=2&%24pageCount=true&%24entityCount=true"
        )
        #expect(page.names == ["D1", "D2"])
        #expect(page.headers.contains("page-count: 2") && page.headers.contains("entity-count: 3"))
        #expect(page.headers.contains("link: </subaccountdestinations?$page=2&$pagesize=2>; rel='next'"))
        let filter = "%24filter=Name+in+%28%27D3%27%2C+%27o%2527x%27%29"
        #expect(try api.ask("GET", "v1/subaccountDestinations?\(filter)").names == ["D3"])
        #expect(try api.ask("GET", "v1/subaccountDestinations?$filter=nonsense").status == 400)

        let one = try api.ask("GET", "v1/subaccountDestinations/D2")
        let tag = one.headers.split(separator: "\r\n").first { $0.hasPrefix("etag: ") }.map { $0.dropFirst(6) } ?? ""
        #expect(try api.ask("GET", "v1/subaccountDestinations/D2", "", "If-None-Match: \(tag)").status == 304)
        #expect(try api.ask("GET", "v1/subaccountDestinations/D2", "", "If-Match: other").status == 412)

        let labels = #"[{"key":"env","values":["prod"]}]"#
        #expect(try api.ask("PUT", "v1/subaccountDestinations/D2/labels", labels).status == 200)
        let patch = #"{"action":"ADD","labels":[{"key":"team","values":["x"]}]}"#
        #expect(try api.ask("PATCH", "v1/subaccountDestinations/D2/labels", patch).status == 200)
        #expect(try api.ask("GET", "v1/subaccountDestinations/D2/labels").array.count == 2)
        let labelled = "%24filter=Label%5B%27env%27%5D+HAS+%28%27prod%27%29"
        #expect(try api.ask("GET", "v1/subaccountDestinations?\(labelled)").names == ["D2"])

        #expect(try api.ask("DELETE", "v1/subaccountDestinations/D2").object["Count"] as? Int == 1)
        #expect(try api.ask("DELETE", "v1/subaccountDestinations/D2").status == 404)
        let removed = try api.ask("DELETE", "v1/subaccountDestinations?$filter=Name%20in%20('D1','D2')")
        #expect(removed.object["Count"] as? Int == 1)
        #expect((removed.object["Summary"] as? [[String: String]])?.map { $0["status"] } == ["DELETED", "NOT_FOUND"])
    }

    @Test("Fragments are merged and certificates come along")
    func fragmentsAndCertificates() throws {
        let rig = try rig()
        defer { rig.stop() }
        let api = try API(rig)
        let keyed = #"{"Name":"A","Type":"HTTP","URL":"http://a","KeyStoreLocation":"a.pem"}"#
        #expect(try api.ask("POST", "v1/instanceDestinations", keyed).status == 201)
        let certificate = #"{"Name":"a.pem","Content":"QUJD","Type":"PEM"}"#
        #expect(try api.ask("POST", "v1/instanceCertificates", certificate).status == 201)
        let fragment = #"{"FragmentName":"f1","URL":"http://x"}"#
        #expect(try api.ask("POST", "v1/instanceDestinationFragments", fragment).status == 201)
        let found = try api.ask("GET", "v1/destinations/A", "", "X-fragment-name: f1")
        let configuration = found.object["destinationConfiguration"] as? [String: String]
        #expect(configuration?["URL"] == "http://x" && configuration?["FragmentName"] == "f1")
        #expect((found.object["certificates"] as? [[String: String]])?.first?["Content"] == "QUJD")
        #expect((found.object["owner"] as? [String: Any])?["InstanceId"] is String)
        #expect(try api.ask("GET", "v1/destinations/A", "", "X-fragment-name: f2").status == 404)
        let optional = try api.ask("GET", "v1/destinations/A", "", "X-fragment-name: f2", "X-fragment-optional: true")
        #expect(optional.status == 200)
    }

    @Test("Client credentials are exchanged for a token; a token service that refuses is reported within the answer")
    func clientCredentials() throws {
        let rig = try rig()
        defer { rig.stop() }
        let api = try API(rig)
        let object = try JSONSerialization.jsonObject(with: rig.bindings()) as? [String: [[String: Any]]]
        let credentials = try #require(object?["xsuaa"]?.first?["credentials"] as? [String: String])
        func destination(_ name: String, _ secret: String) -> String {
            #"{"Name":"\#(name)","Type":"HTTP","URL":"http://a","Authentication":"OAuth2ClientCredentials","#
                + #""tokenServiceURL":"http://127.0.0.1:\#(rig.apiPort)/oauth/token","#
                + #""clientId":"\#(credentials["clientid"]!)","clientSecret":"\#(secret)"}"#
        }
        let secret = try #require(credentials["clientsecret"])
        #expect(try api.ask("POST", "v1/subaccountDestinations", destination("GOOD", secret)).status == 201)
        #expect(try api.ask("POST", "v1/subaccountDestinations", destination("BAD", "wrong")).status == 201)
        let good = try api.ask("GET", "v1/destinations/GOOD").object["authTokens"] as? [[String: Any]]
        #expect(good?.first?["expires_in"] is String)
        let header = good?.first?["http_header"] as? [String: String]
        #expect(header?["value"]?.hasPrefix("Bearer ey") == true)
        let bad = try api.ask("GET", "v1/destinations/BAD")
        let error = (bad.object["authTokens"] as? [[String: Any]])?.first
        #expect(bad.status == 200 && error?["value"] as? String == "")
        #expect((error?["error"] as? String)?.contains("401: unauthorized: Bad credentials") == true)
        #expect(try api.ask("GET", "v1/destinations/GOOD", "", "X-tenant: t").status == 400)
        // Nothing secret in logs and audit.
        #expect(!rig.cloud.log.contains { $0.contains(secret) })
    }

    @Test("Wrong input gets a clear answer, and nothing is half-written")
    func wrongInput() throws {
        let rig = try rig()
        defer { rig.stop() }
        let api = try API(rig)
        let cases: [(method: String, path: String, body: String, status: Int)] = [
            ("POST", "v1/subaccountDestinations", "{", 400), ("POST", "v1/subaccountDestinations", "[1]", 207),
            ("POST", "v1/subaccountDestinations", #"{"Name":"A b","Type":"HTTP"}"#, 400),
            ("POST", "v1/subaccountDestinations", #"{"Name":"../../x","Type":"HTTP"}"#, 400),
            ("POST", "v1/subaccountDestinations", #"{"Name":"A","Type":"HTTP","X":1}"#, 400),
            ("POST", "v1/subaccountDestinationFragments", #"{"FragmentName":"A","Name":"B"}"#, 400),
            ("POST", "v1/subaccountCertificates", #"{"Name":"a/b.pem","Content":"QUJD"}"#, 400),
            ("POST", "v1/subaccountCertificates", #"{"Name":"a.pem","Content":"?"}"#, 400),
            ("POST", "v1/subaccountCertificates", #"{"Name":"a.pem","Attributes":{"CN":"x"}}"#, 400),
            ("PATCH", "v1/subaccountDestinations", "{}", 405), ("GET", "v1/nothing", "", 404), ("GET", "v3/x", "", 404),
            ("GET", "v1/destinations/%zz", "", 400), ("GET", "v1/subaccountDestinations/a/b/c", "", 404),
            ("GET", "v1/saml2Metadata/certificate", "", 404), ("DELETE", "maintenance/v1/caches/ias", "", 200),
        ]
        for (method, path, body, status) in cases {
            #expect(try api.ask(method, path, body).status == status, "\(method) \(path) \(body)")
            let url = "http://127.0.0.1:\(rig.apiPort)/destination-configuration/\(path)"
            #expect(try [400, 401].contains(API.run(["-s", "-i", url], rig).status))
        }
        #expect(try api.ask("GET", "v1/subaccountDestinations").body == "[]\n")
    }

    @Test("A token of another service is refused with 403, and a bad one with 401")
    func foreignToken() throws {
        let rig = try rig()
        defer { rig.stop() }
        for (service, status) in [("connectivity", 403), ("destination", 200)] {
            let token = try Rig.run(["token", "--service", service, "--config", "cloud.conf"], rig.folder).output
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let url = "http://127.0.0.1:\(rig.apiPort)/destination-configuration/v1/subaccountDestinations"
            #expect(try API.run(["-s", "-i", "-H", "Authorization: Bearer \(token)", url], rig).status == status)
            #expect(try API.run(["-s", "-i", "-H", "Authorization: Bearer \(token)x", url], rig).status == 401)
        }
    }

    @Test("Check Connection tells each cause by its own message, with what helps")
    func check() throws {
        let backend = TestServer.http { head, _ in
            if head.contains("/broken") { return "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n" }
            if head.contains("/moved") { return "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n" }
            if head.contains("/get"), head.hasPrefix("HEAD") {
                return "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
            }
            return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        }
        defer { backend.stop() }
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let rig = try rig()
        defer { rig.stop() }
        let paths = "{path: /app, access: path-and-sub-paths}, {path: /one, access: path-only}"
        try rig.startConnector(
            systems: Rig.system("internalhost:3333", port: backend.port, paths)
                + Rig.system("down.test:80", port: closed.port)
        )
        let cases = [
            ("GREEN", "http://internalhost:3333/app", "", 0, "Response returned: \"401: Unauthorized\"", ""),
            (
                "MOVED", "http://internalhost:3333/app/moved", "", 0,
                "established. Response returned: \"307: Temporary", ""
            ),
            ("GETS", "http://internalhost:3333/app/get", "", 0, "Response returned: \"401", ""),
            ("BROKEN", "http://internalhost:3333/app/broken", "", 2, "Backend status could not be determined.", "500:"),
            (
                "NAME", "http://internalhst:3333/app", "", 2,
                "Backend is not available in the list of defined system mappings in Cloud Connector.",
                "did you mean internalhost:3333?"
            ),
            (
                "PATH", "http://internalhost:3333/one/more", "", 2,
                "Resource is not accessible in Cloud Connector or backend is not reachable.",
                "/one is exposed with path-only"
            ),
            ("CASE", "http://internalhost:3333/APP", "", 2, "Resource is not accessible", "upper and lower case"),
            (
                "DOWN", "http://down.test/", "", 2, "Backend is not reachable from Cloud Connector.",
                "connection refused"
            ),
            (
                "LOCATION", "http://internalhost:3333/app", "plant2", 2, "Backend status could not be determined.",
                "No Cloud Connector with location ID \"plant2\" is connected; connected: one without a location ID."
            ),
            ("UNDER", "http://my_host:80/", "", 2, "Backend status could not be determined.", "underscore"),
            ("HTTPS", "https://internalhost:3333/app", "", 2, "could not be determined.", "http only"),
        ]
        for (name, url, location, status, message, detail) in cases {
            var text = "Type=HTTP\nName=\(name)\nURL=\(url.replacing(":", with: "\\:"))\nProxyType=OnPremise\n"
            if !location.isEmpty { text += "CloudConnectorLocationId=\(location)\n" }
            try text.write(to: rig.folder.appending(path: "\(name).properties"), atomically: true, encoding: .utf8)
            #expect(try control(rig, "import", "\(name).properties").status == 0)
            let result = try control(rig, "check", name)
            #expect(Int(result.status) == status, "\(name): \(result.output)")
            #expect(
                result.output.contains(message) && (detail.isEmpty || result.output.contains(detail)),
                "\(name): \(result.output)"
            )
        }
        let api = try API(rig)
        let answer = try api.ask("POST", "v1/destinations/GREEN/check")
        #expect(answer.object["isGood"] as? Bool == true)
        #expect(try api.ask("POST", "v1/destinations/NOPE/check").status == 404)
        let local = #"{"Name":"LOCAL","Type":"HTTP","URL":"http://127.0.0.1:\#(backend.port)/","ProxyType":"Internet"}"#
        #expect(try api.ask("POST", "v1/subaccountDestinations", local).status == 201)
        #expect(try control(rig, "check", "LOCAL").output.contains("Private endpoints"))
    }

    @Test("Destinations are imported, listed, shown, exported and made from a template; a bad file changes nothing")
    func commands() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system("internalhost:3333", port: backend.port))
        func write(_ name: String, _ text: String) throws {
            try text.write(to: rig.folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        try write(
            "a.json",
            #"[{"Name":"A","Type":"HTTP","URL":"http://a","Password":"secret"},{"Name":"B","Type":"HTTP"}]"#
        )
        try write("c.yaml", "Name: C\nType: TCP\nAddress: host:80\n")
        try write("bad.properties", "Name=D\nType=HTTP\nName=E\n")
        let bad = try control(rig, "import", "a.json", "bad.properties")
        #expect(bad.status == 1 && bad.output.contains("bad.properties:3: \"Name\" stands here a second time"))
        #expect(try !control(rig, "list").output.contains("http://a"))
        let imported = try control(rig, "import", "a.json", "c.yaml").output
        for line in ["A created", "B created", "C created"] { #expect(imported.contains("\(line)\n")) }
        #expect(imported.contains("a.json: warning: B: URL is missing"))
        #expect(imported.contains("a.json: warning: A: ProxyType is missing: OnPremise or Internet"))
        let again = try control(rig, "import", "c.yaml")
        #expect(again.status == 1 && again.output.contains("C is there already"))
        #expect(try control(rig, "import", "c.yaml", "--replace").output == "C replaced\n")
        let shown = try control(rig, "show", "A")
        #expect(shown.output == "#\nType=HTTP\nName=A\nURL=http\\://a\n")
        #expect(
            try control(rig, "show", "A", "--secrets", "--format", "yaml").output.contains("\"Password\": \"secret\"")
        )
        #expect(try control(rig, "export", "--format", "json").output == "./A.json\n./B.json\n./C.json\n")
        let made = try control(rig, "create", "internalhost:3333", "--actions")
        #expect(made.output == "INTERNALHOST_3333 created\n")
        #expect(try control(rig, "show", "INTERNALHOST_3333").output.contains("sap.processautomation.enabled=true"))
        #expect(try control(rig, "check", "INTERNALHOST_3333").status == 0)
        let wrong = try control(rig, "create", "internalhst:3333")
        #expect(wrong.status == 1 && wrong.output.contains("did you mean internalhost:3333?"))
        #expect(try control(rig, "delete", "A").status == 0)
        let gone = try control(rig, "show", "A")
        #expect(gone.status == 1 && gone.output.contains("there is no destination A"))
        // Files are edited by hand as well.
        let file = rig.folder.appending(path: "api/destinations/provider/destinations/B.json")
        try #"{"Name":"B","Type":"HTTP","URL":"http://edited"}"#.write(to: file, atomically: true, encoding: .utf8)
        #expect(try control(rig, "show", "B").output.contains("http\\://edited"))
        try "{".write(to: file, atomically: true, encoding: .utf8)
        let listed = try control(rig, "list")
        #expect(listed.output.contains("B.json: not JSON") && listed.output.contains("http://edited"))
    }

    @Test("Connectors are told of in the shape of SAP's service, to tokens of their own subaccount")
    func connectors() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system("internalhost:3333", port: backend.port))
        func ask(_ service: String, _ subaccount: String) throws -> Answer {
            let arguments = ["token", "--service", service, "--subaccount", subaccount, "--config", "cloud.conf"]
            let token = try Rig.run(arguments, rig.folder).output.trimmingCharacters(in: .whitespacesAndNewlines)
            let url = "http://127.0.0.1:\(rig.apiPort)/connectivity/v1/connectors"
            return try API.run(["-s", "-i", "-H", "Authorization: Bearer \(token)", url], rig)
        }
        let answer = try ask("connectivity", "test")
        let attributes = try #require(answer.array.first?["attributes"] as? [String: Any])
        #expect(Int64(attributes["connected_since"] as? String ?? "").map { $0 > 1_700_000_000_000 } == true)
        #expect(attributes["agent_type"] as? String == "master")
        let systems = Data((attributes["exposed_systems"] as? String ?? "").utf8)
        let first = (try JSONSerialization.jsonObject(with: systems) as? [[String: String]])?.first
        #expect(first?["host"] == "internalhost:3333" && first?["protocol"] == "HTTP" && first?["status"] == "exposed")
        // Nothing of the inside.
        #expect(!answer.body.contains(String(backend.port)))
        #expect(try ask("connectivity", "other").body == "[]\n")
        #expect(try ask("destination", "test").status == 403)
    }

    @Test("The cockpit asks for its password, shows what is there, and takes changes from its own page only")
    func cockpit() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let file = FileManager.default.temporaryDirectory.appending(path: "cockpit-\(UUID().uuidString)")
        try "long password\n".write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let rig = try Rig(cloud: Self.cloud + "\ncockpit: {listen: \"0.0.0.0:0\", password-file: \(file.path)}")
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system("internalhost:3333", port: backend.port, "{path: /a, access: path-only}")
        )
        let line = try rig.cloud.wait(for: "cockpit started")
        let port = try #require(line.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }.last)
        func ask(_ path: String, _ arguments: String...) throws -> Answer {
            try API.run(["-s", "-i"] + arguments + ["http://localhost:\(port)\(path)"], rig)
        }
        #expect(try ask("/").status == 401)
        #expect(try ask("/", "-u", "x:wrong").status == 401)
        // Nobody is locked out by a wrong one.
        let page = try ask("/", "-u", "x:long password")
        #expect(page.status == 200 && page.headers.contains("content-security-policy: default-src 'none'"))
        let token = try #require(page.body.split(separator: "change-token\" content=\"").last?.prefix { $0 != "\"" })
        let denied = try rig.curl(
            "http://internalhost:3333/b",
            "--proxy-header",
            "Proxy-Authorization: Bearer \(proxyToken(rig))"
        )
        #expect(denied.contains("Access denied to resource /b"))
        let state = try ask("/api/state", "-u", "x:long password").body
        #expect(state.contains("internalhost:3333") && state.contains("{path: /b, access: path-only}"))
        let body = ["-X", "POST", "--data-binary", #"{"name":"","host":"internalhost:3333","locationID":""}"#]
        func change(_ fields: String...) throws -> Answer {
            let headers = fields.flatMap { ["-H", $0] }
            let url = "http://localhost:\(port)/api/template"
            return try API.run(["-s", "-i", "-u", "x:long password"] + body + headers + [url], rig)
        }
        #expect(try change().status == 403)
        #expect(try change("X-CSRF-Token: \(token)", "Origin: http://evil.example.com").status == 403)
        #expect(try change("X-CSRF-Token: \(token)", "Host: evil.example.com").status == 421)
        #expect(try change("X-CSRF-Token: \(token)", "Origin: http://localhost:\(port)").status == 200)
        #expect(try control(rig, "list").output.contains("INTERNALHOST_3333"))
    }

    private func proxyToken(_ rig: Rig) throws -> String {
        try Rig.run(["token", "--config", "cloud.conf"], rig.folder).output.trimmingCharacters(
            in: .whitespacesAndNewlines
        )
    }
}
