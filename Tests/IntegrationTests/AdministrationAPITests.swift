import ConnectorTestSupport
import Foundation
import Testing

/// A connector of an enrolment rig, asked over HTTPS by its administrator: bodies, with the status behind them.
private struct Administered {
    let rig: EnrolmentRig
    let port: Int

    /// With a password already.
    init(_ rig: EnrolmentRig, _ connector: LoggedProcess) throws {
        self.rig = rig
        port = try AskedConnector.port(connector)
        let code = try AskedConnector.firstLine(rig.run("admin", "password", "--socket", "connector.sock").output)
        let set = #"{"oldPassword":"\#(code)","newPassword":"\#(AskedConnector.password)"}"#
        let answer = try ask("PUT", AskedConnector.authentication, set, login: code)
        guard answer.hasSuffix(" 204") else { throw RigError("no password: \(answer)") }
    }

    func ask(_ method: String, _ path: String, _ body: String?) throws -> String {
        try ask(method, path, body, login: AskedConnector.password)
    }

    private func ask(_ method: String, _ path: String, _ body: String?, login: String) throws -> String {
        var arguments = [
            "-s", "-k", "-w", " %{http_code}", "-u", "Administrator:\(login)", "-X", method,
            "https://127.0.0.1:\(port)\(path)",
        ]
        if let body { arguments += ["-H", "Content-Type: application/json", "-d", body] }
        return try Rig.run(URL(filePath: "/usr/bin/curl"), arguments, rig.folder).output
    }
}

/// What SAP's API has beside mappings: trust store, certificates, subaccounts, backups, figures.
@Suite(.serialized)
struct AdministrationAPITests {
    private let connector = "/api/v1/configuration/connector"

    @Test("Certificates of internal hosts come and go by their names, in the file and in force")
    func trustStore() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let store = connector + "/onPremises/truststore"
        func aliases() throws -> [String] {
            (try asked.ask("GET", store).json["trustedBackends"] as? [NSDictionary] ?? []).compactMap {
                $0["alias"] as? String
            }
        }
        #expect(try asked.ask("GET", store + "/certificates").status == 404)
        let added = try asked.ask("POST", store + "/certificates", nil, "-F", "certificates=@ca.pem")
        #expect(added.status == 201 && added.body.isEmpty, "\(added)")
        let again = try asked.ask("POST", store + "/certificates", nil, "-F", "certificate=@ca.pem")
        #expect(again.status == 400 && again.message.contains("already"))
        #expect(try asked.ask("POST", store + "/certificates", nil, "-F", "certificate=@service.pem").status == 201)
        #expect(try aliases() == ["trustedbackend.1.1", "trustedbackend.2.1"])
        let der = try asked.ask("GET", store + "/certificates/trustedbackend.1.1")
        #expect(der.head.contains("application/octet-stream") && der.head.contains("trustedbackend.1.1.der"))
        let all = try asked.ask("GET", store + "/certificates", nil, "-H", "Accept: application/x-pem-file")
        #expect(all.body.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
        #expect(try asked.ask("DELETE", store + "/certificates/trustedbackend.1.1").status == 204)
        #expect(try aliases() == ["trustedbackend.2.1"], "a name stays when others go")
        #expect(try asked.ask("DELETE", store + "/certificates/trustedbackend.1.1").status == 404)
        for body in ["certificates=nonsense", "other=@ca.pem"] {
            #expect(try asked.ask("POST", store + "/certificates", nil, "-F", body).status == 400)
        }
        #expect(try asked.ask("POST", store + "/certificates", "{}").status == 400)
        #expect(try asked.ask("DELETE", store + "/certificates").status == 204)
        #expect(try aliases().isEmpty && asked.file().hasPrefix(before.dropLast(1)))
        let trust = asked.rig.folder.appending(path: "admin/trust").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: trust).isEmpty)
    }

    @Test("The page's certificate is made anew, requested and exchanged without a restart")
    func certificate() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let path = connector + "/ui/uiCertificate"
        #expect((try asked.ask("GET", path).json["subjectDN"] as? String)?.contains("O=Open Cloud Connector") == true)
        let wanted =
            #"{"type":"selfsigned","keySize":2048,"subjectDN":"CN=a,EMAIL=b@x.test,L=c,OU=d,O=e,ST=f,C=DE","subjectAltNames":[{"type":"DNS","value":"x.test"},{"type":"RFC822","value":"m@x.test"}]}"#
        #expect(try asked.ask("POST", path, wanted).status == 201)
        let made = try asked.ask("GET", path).json
        #expect(made["subjectDN"] as? String == "CN=a,EMAIL=b@x.test,L=c,OU=d,O=e,ST=f,C=DE")
        let serial = made["serialNumber"] as? String ?? ""
        #expect(serial.wholeMatch(of: /(?:[0-9a-f]{2}:){14,}[0-9a-f]{1,2}/) != nil, "\(serial)")
        let names = made["subjectAltNames"] as? [NSDictionary] ?? []
        #expect(names.map { $0["type"] as? String } == ["DNS", "RFC822"])
        let request = try asked.ask("POST", path, wanted.replacing("selfsigned", with: "csr"))
        #expect(request.body.contains("BEGIN CERTIFICATE REQUEST"))
        let alien = try asked.ask("PATCH", path, nil, "-F", "signedCertificate=@service.pem")
        #expect(alien.status == 400, "not the answer to the request: \(alien)")
        let sign = """
            printf '%s' "$1" > r.csr
            openssl x509 -req -in r.csr -CA ca.pem -CAkey service.key -set_serial 7 -days 2 -out r.pem 2>/dev/null
            openssl req -x509 -newkey rsa:2048 -nodes -keyout q.key -out q.pem -subj /CN=q -days 2 2>/dev/null
            openssl pkcs12 -export -in q.pem -inkey q.key -passout pass:secret -out q.p12
            openssl req -in r.csr -noout -pubkey | openssl x509 -new -force_pubkey /dev/stdin -key q.key -CA q.pem -CAkey q.key \
              -subj /CN=signed -days 2 -out s.pem 2>/dev/null || true
            """
        _ = try Rig.run(URL(filePath: "/bin/bash"), ["-c", sign, "x", request.body], asked.rig.folder)
        let other = try asked.ask("PUT", path, nil, "-F", "pkcs12=@q.p12", "-F", "password=wrong")
        #expect(other.status == 400 && other.message.contains("password"))
        #expect(try asked.ask("PUT", path, nil, "-F", "pkcs12=@q.p12", "-F", "password=secret").status == 204)
        #expect(try asked.ask("GET", path).json["subjectDN"] as? String == "CN=q")
        for bad in ["CN", "X=1", "O=a", "CN=a=b"] {
            #expect(try asked.ask("POST", path, #"{"type":"selfsigned","subjectDN":"\#(bad)"}"#).status == 400)
        }
        #expect(try asked.ask("POST", path, #"{"type":"selfsigned","subjectDN":"CN=a","keySize":512}"#).status == 400)
    }

    @Test("A subaccount is described, disconnected and connected, and the trust of SAP's provider has an answer")
    func subaccount() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let own = AskedConnector.subaccount
        let changed = try asked.ask("PUT", own, #"{"description":"d","displayName":"Plant 4","autoCertRenewal":false}"#)
        #expect(changed.status == 200 && changed.json["displayName"] as? String == "Plant 4")
        #expect(changed.json["autoCertRenewal"] as? Bool == false && changed.json["description"] as? String == "d")
        let cleared = try asked.ask("PUT", own, #"{"displayName":"","locationID":"","autoCertRenewal":true}"#).json
        #expect(cleared["displayName"] as? String == "test" && cleared["description"] as? String == "d")
        #expect(try asked.ask("PUT", own, #"{"locationID":"other"}"#).message.contains("enrol again"))
        func state() throws -> String? {
            (try asked.ask("GET", own).json["tunnel"] as? NSDictionary)?["state"] as? String
        }
        #expect(try asked.ask("PUT", own + "/state", #"{"connected":"false"}"#).status == 204)
        #expect(try state() == "Disconnected" && asked.rig.curl("http://backend.test/").contains("503"))
        #expect(try asked.ask("PUT", own + "/state", #"{"connected":true}"#).status == 204)
        #expect(try state() == "Connected" && asked.rig.curl("http://backend.test/").hasSuffix("here"))
        #expect(try asked.ask("PUT", own + "/state", "{}").status == 400)
        #expect(try asked.ask("POST", own + "/trust").status == 204)
        #expect(try asked.ask("PUT", own + "/trust", #"{"autoSyncTrustEnabled":false}"#).status == 204)
        #expect(try asked.ask("PUT", own + "/trust", #"{"autoSyncTrustEnabled":true}"#).status == 400)
        #expect(try asked.ask("DELETE", own).status == 409, "the main file stays")
        #expect(try asked.ask("GET", own + "/recovery").status == 410)
    }

    @Test("Cookie domains are made, changed and removed, and cookies come back with them at once")
    func domains() throws {
        let rig = try AskedConnector()
        defer { rig.stop() }
        let backend = TestServer.http { _, _ in
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Domain=.Corp.internal; Path=/\r\nContent-Length: 0\r\n\r\n"
        }
        defer { backend.stop() }
        try rig.rig.rewrite { $0.replacing(":\(rig.backend.port)", with: ":\(backend.port)") }
        let domains = AskedConnector.subaccount + "/domainMappings"
        func cookie() throws -> String { try rig.rig.curl("http://backend.test/") }
        let added = try rig.ask("POST", domains, #"{"internalDomain":"corp.internal","virtualDomain":"erp"}"#)
        #expect(added.status == 201 && added.body.isEmpty && added.head.contains("domainmappings/corp.internal"))
        #expect(try cookie().contains("Domain=.erp; Path=/"))
        let item = try #require(try rig.ask("GET", domains).list.first)
        #expect(item["internalDomain"] as? String == "corp.internal" && item["virtualDomain"] as? String == "erp")
        #expect(try rig.ask("POST", domains, #"{"internalDomain":"Corp.internal","virtualDomain":"x"}"#).status == 409)
        let put = try rig.ask(
            "PUT",
            domains + "/corp.internal",
            #"{"internalDomain":"corp.internal","virtualDomain":"crm"}"#
        )
        #expect(put.status == 204, "\(put)")
        #expect(try cookie().contains("Domain=.crm; Path=/"))
        #expect(try rig.ask("DELETE", domains + "/corp.internal").status == 204)
        #expect(try rig.ask("DELETE", domains + "/corp.internal").status == 404)
        #expect(try cookie().contains("Domain=.Corp.internal"))
        #expect(try rig.ask("DELETE", domains).status == 204 && rig.ask("GET", domains).list.isEmpty)
    }

    @Test("A token enrols one more subaccount, which is connected in the answer, renewed and removed")
    func enrolment() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector()
        #expect(try rig.enrol(rig.token()).status == 0)
        let administered = try Administered(rig, try rig.startConnector())
        let ask = administered.ask
        let subaccounts = "/api/v1/configuration/subaccounts"
        let token = try rig.token("--subaccount", "test", "--location-id", "b")
        let added = try ask(
            "POST",
            subaccounts,
            #"{"authenticationData":"\#(token)","description":"second","displayName":"","locationID":"","regionHost":"b.example.com"}"#
        )
        #expect(
            added.hasSuffix(" 201") && added.contains(#""state":"Connected""#) && added.contains(#""locationID":"b""#),
            "\(added)"
        )
        #expect(try ask("POST", subaccounts, #"{"authenticationData":"\#(token)"}"#).hasSuffix(" 409"))
        #expect(try ask("POST", subaccounts, #"{"authenticationData":"x"}"#).contains("not an enrolment token"))
        #expect(try ask("POST", subaccounts, #"{"cloudUser":"u","cloudPassword":"p"}"#).hasSuffix(" 400"))
        let file = rig.folder.appending(path: "connector.d/test-b.conf")
        #expect(try String(contentsOf: file, encoding: .utf8).contains("description: second"))
        let twin = try ask(
            "POST",
            subaccounts,
            #"{"authenticationData":"\#(try rig.token("--subaccount", "test", "--location-id", "c"))"}"#
        )
        #expect(twin.hasSuffix(" 409") && twin.contains("another regionHost"), "\(twin)")
        #expect(try ask("DELETE", subaccounts + "/b.example.com/test?dry-run=true", nil).hasSuffix(" 400"))
        #expect(try ask("DELETE", subaccounts + "/b.example.com/test", nil).hasSuffix(" 204"))
        let renewed = try ask(
            "POST",
            subaccounts + "/localhost/test/validity",
            #"{"authenticationData":"\#(try rig.token())"}"#
        )
        #expect(renewed.hasSuffix(" 200"), "\(renewed)")
    }

    @Test("A file that says only how it is administered is set up from the page, and keeps what it said")
    func setUp() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        let file = rig.folder.appending(path: "connector.conf")
        let first = "# ours\nadmin: {socket: connector.sock, listen: \"127.0.0.1:0\"}  # kept\n"
        try first.write(to: file, atomically: true, encoding: .utf8)
        #expect(try rig.run("check-config", "connector.conf").output.contains("set it up on the page"))
        let connector = try LoggedProcess(["run", "--config", "connector.conf"], folder: rig.folder)
        defer { connector.stop(SIGKILL) }
        let administered = try Administered(rig, connector)
        let ask = administered.ask
        #expect(try ask("GET", "/api/page/state", nil).contains(#""connectors":[]"#))
        let added = try ask(
            "POST",
            "/api/v1/configuration/subaccounts",
            #"{"authenticationData":"\#(try rig.token())"}"#
        )
        #expect(added.hasSuffix(" 201") && added.contains(#""state":"Connected""#), "\(added)")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.hasPrefix(first) && text.contains("subaccount: test") && text.contains("service: localhost:"),
            "\(text)"
        )
        #expect(try rig.run("status", "--config", "connector.conf").output.contains("Connected"))
        let certificate = rig.folder.appending(path: "admin/tls-test/connector.pem")
        let old = try Data(contentsOf: certificate)
        let renewed = try ask("POST", "/api/page/renew", #"{"file":"connector.conf"}"#)
        #expect(renewed.hasSuffix(" 204"), "\(renewed)")
        #expect(try Data(contentsOf: certificate) != old)
        #expect(try ask("POST", "/api/page/renew", #"{"file":"other.conf"}"#).contains("no connector has this file"))
    }

    @Test("A backup holds everything, opens with its password only, and makes another machine the same")
    func backup() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let path = "/api/v1/configuration/backup"
        #expect(try asked.ask("POST", path, "{}").status == 400)
        let arguments = [
            "-s", "-k", "-o", "b.zip", "-D", "head", "-u", "Administrator:\(AskedConnector.password)", "-H",
            "Content-Type: application/json", "-d", #"{"password":"pass"}"#, "https://127.0.0.1:\(asked.port)\(path)",
        ]
        _ = try Rig.run(URL(filePath: "/usr/bin/curl"), arguments, asked.rig.folder)
        let head = try String(contentsOf: asked.rig.folder.appending(path: "head"), encoding: .utf8)
        #expect(head.contains("application/zip"))
        let list = try Rig.run(URL(filePath: "/usr/bin/python3"), ["-m", "zipfile", "-l", "b.zip"], asked.rig.folder)
            .output
        #expect(list.contains("connector.conf") && list.contains("backup.json"), "\(list)")
        let key = try String(contentsOf: asked.rig.folder.appending(path: "connector.key"), encoding: .utf8)
        let bytes = try Data(contentsOf: asked.rig.folder.appending(path: "b.zip"))
        #expect(bytes.range(of: Data(key.split(separator: "\n")[1].utf8)) == nil, "the key is not readable in it")
        let before = try asked.file()
        #expect(try asked.ask("PUT", connector, #"{"description":"later"}"#).status == 200)
        try asked.rig.rewrite { $0 + "# and by hand\n" }
        try FileManager.default.removeItem(at: asked.rig.folder.appending(path: "connector.key"))
        for (form, text) in [("password=wrong", "does not open"), ("other=pass", "password")] {
            let refused = try asked.ask("PUT", path, nil, "-F", "backup=@b.zip", "-F", form)
            #expect(refused.status == 400 && refused.message.contains(text), "\(refused)")
        }
        #expect(try asked.ask("PUT", path, nil, "-F", "backup=@ca.pem", "-F", "password=pass").status == 400)
        // Nothing in it can be exchanged, be it secret or not, and nothing can come twice.
        let changes = """
            import zipfile, shutil
            source = zipfile.ZipFile("b.zip")
            def write(name, change, more=()):
                with zipfile.ZipFile(name, "w") as target:
                    for item in source.namelist(): target.writestr(item, change(item, source.read(item)))
                    for item, data in more: target.writestr(item, data)
            write("c1.zip", lambda n, d: b"x" + d[1:] if n.startswith("files/") else d)
            write("c2.zip", lambda n, d: d.replace(b"path-only", b"path-all!") + b"#" if n == "connector.conf" else d)
            write("c3.zip", lambda n, d: d, [("connector.d/evil.conf", b"subaccount: x")])
            write("c4.zip", lambda n, d: d.replace(b'"configuration"', b'"file"') if n == "backup.json" else d)
            """
        let lines = changes.split(separator: "\n", omittingEmptySubsequences: false).map {
            $0.hasPrefix("            ") ? $0.dropFirst(12) : $0
        }
        let made = try Rig.run(
            URL(filePath: "/usr/bin/python3"),
            ["-c", lines.joined(separator: "\n")],
            asked.rig.folder
        )
        #expect(made.status == 0, "\(made.output)")
        for number in 1...4 {
            let refused = try asked.ask("PUT", path, nil, "-F", "backup=@c\(number).zip", "-F", "password=pass")
            #expect(refused.status == 400 && refused.message.contains("was changed"), "\(number): \(refused)")
        }
        #expect(try asked.file().contains("by hand"), "nothing was restored by halves")
        #expect(try asked.ask("PUT", path, nil, "-F", "backup=@b.zip", "-F", "password=pass").status == 204)
        #expect(try asked.file() == before)
        #expect(try String(contentsOf: asked.rig.folder.appending(path: "connector.key"), encoding: .utf8) == key)
        #expect(try asked.rig.curl("http://backend.test/").hasSuffix("here"))
        #expect(
            try asked.rig.control("config", "history", "--config", "connector0.conf").output.contains(
                "connector0.conf."
            )
        )
    }

    @Test("A monitoring agent that speaks HTTP/1.0 gets its figures")
    func monitoring() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        try asked.add("agent", role: "monitoring")
        for _ in 0..<3 { #expect(try asked.rig.curl("http://backend.test/x").hasSuffix("here")) }
        func page(_ name: String) throws -> NSDictionary {
            let answer = try asked.ask(
                "GET",
                "/api/monitoring/" + name,
                login: "agent:\(AskedConnector.password)",
                "-0",
                "--no-alpn"
            )
            #expect(answer.status == 200, "\(name): \(answer)")
            return answer.json
        }
        func first(_ name: String, _ member: String) throws -> NSDictionary {
            let page = try page(name)
            #expect(page["version"] as? Int == 1)
            let subaccount = try #require((page["subaccounts"] as? [NSDictionary])?.first)
            #expect(
                subaccount["subaccount"] as? String == "test" && subaccount["regionHost"] as? String == "cf.example.com"
            )
            return try #require((subaccount[member] as? [NSDictionary])?.first, "\(name)")
        }
        let connection = try first("connections/backends", "backendConnections")
        #expect(connection["idle"] as? Int == 1 && connection["active"] as? Int == 0)
        let performance = try first("performance/backends", "backendPerformance")
        let buckets = performance["buckets"] as? [NSDictionary] ?? []
        #expect(buckets.count == 22 && buckets.reduce(0) { $0 + ($1["numberOfCalls"] as? Int ?? 0) } == 3)
        #expect(try first("performance/toptimeconsumers", "requests")["resource"] as? String == "/x")
        let usage = try first("usage", "usageStatistics")
        let resource = try #require((usage["resources"] as? [NSDictionary])?.first)
        #expect(
            usage["calls"] as? Int == 3 && resource["resourceName"] as? String == "/" && resource["calls"] as? Int == 3
        )
        #expect(((try page("memory")["physicalKB"] as? NSDictionary)?["CloudConnector"] as? Int ?? 0) > 1000)
        let certificates = try page("certificates")
        let ok = certificates["ok"] as? [NSDictionary] ?? []
        #expect(ok.contains { $0["type"] as? String == "UI" })
        #expect(try page("alerts")["alerts"] is [NSDictionary])
    }

    @Test("A change can be looked at before it is made; what cannot only be shown is refused")
    func rehearsal() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let mappings = AskedConnector.subaccount + "/systemMappings"
        let body = #"{"localHost":"h","localPort":"1","protocol":"HTTP","virtualHost":"v","virtualPort":"1"}"#
        let shown = try asked.ask("POST", mappings + "?dry-run=true", body)
        #expect(shown.status == 200 && shown.body.contains("virtual-host: v:1") && shown.body.contains("every request"))
        let bad = try asked.ask("POST", mappings + "?dry-run=true", body.replacing("\"1\"", with: "\"0\""))
        #expect(bad.status == 400 && bad.message.contains("is not a port"))
        for (method, path) in [
            ("POST", connector + "/ui/uiCertificate"), ("PUT", AskedConnector.authentication),
            ("PUT", AskedConnector.subaccount + "/state"),
        ] {
            let refused = try asked.ask(method, path + "?dry-run=true", "{}")
            #expect(refused.status == 400 && refused.message.contains("dry-run"), "\(path): \(refused)")
        }
        for word in ["1", "yes", "", "TRUE"] {
            #expect(try asked.ask("POST", mappings + "?dry-run=\(word)", body).message.contains("dry-run must be"))
        }
        #expect(
            try asked.ask(
                "POST",
                AskedConnector.subaccount + "/domainMappings?dry-run=true",
                #"{"internalDomain":"a","virtualDomain":"b"}"#
            ).body.contains("internal: a")
        )
        #expect(try asked.file() == before)
    }

    @Test("What the connector does not take is undone, and many changes at once are each made as they were asked for")
    func robust() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let store = connector + "/onPremises/truststore/certificates"
        // Listed by hand, and gone: each reload fails until somebody takes it away.
        try asked.rig.rewrite {
            $0 + "backend-trust: {certificates: [gone/trustedbackend.9223372036854775807.1.pem]}\n"
        }
        let edited = try asked.file()
        let refused = try asked.ask("PUT", connector, #"{"description":"later"}"#)
        #expect(refused.status == 500 && refused.message.contains("it was undone"), "\(refused)")
        #expect(try asked.file() == edited)
        #expect(try asked.ask("POST", store, nil, "-F", "certificates=@ca.pem").status == 500)
        #expect(try asked.ask("DELETE", store).status == 204)
        #expect(try asked.ask("PUT", connector, #"{"description":""}"#).status == 200)
        let url = "https://\(AskedConnector.authority)"
        let script = """
            c() { curl -sk -o /dev/null -w '%{http_code}\\n' --connect-to \(AskedConnector.authority):127.0.0.1:\(asked.port) -u 'Administrator:\(AskedConnector.password)' "$@"; }
            for n in 1 2 3 4 5 6 7 8; do c -H 'Content-Type: application/json' -d "{\\"internalDomain\\":\\"d$n\\",\\"virtualDomain\\":\\"v\\"}" \(url)\(AskedConnector.subaccount)/domainMappings & done; wait
            for n in 1 2 3 4; do c -X DELETE \(url)\(AskedConnector.subaccount)/domainMappings/d$n & done
            for f in ca service connector; do c -F certificates=@$f.pem \(url)\(store) & done; wait
            """
        let codes = try Rig.run(URL(filePath: "/bin/bash"), ["-c", script], asked.rig.folder).output.split(
            separator: "\n"
        )
        #expect(codes.count == 15 && codes.allSatisfy { $0 == "201" || $0 == "204" }, "\(codes)")
        let domains = try asked.ask("GET", AskedConnector.subaccount + "/domainMappings").list.compactMap {
            $0["internalDomain"] as? String
        }
        #expect(Set(domains) == ["d5", "d6", "d7", "d8"], "\(domains)")
        let trusted =
            try asked.ask("GET", connector + "/onPremises/truststore").json["trustedBackends"] as? [NSDictionary] ?? []
        #expect(Set(trusted.compactMap { $0["alias"] as? String }).count == 3, "\(trusted)")
        #expect(Set(trusted.compactMap { $0["subjectDN"] as? String }).count == 3 && before != edited)
    }

    @Test("The page asks in one place what there is to see, and sets the file back")
    func page() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        for file in ["/", "/page.js", "/view.js", "/change.js", "/elements.js", "/page.css", "/look.css"] {
            let answer = try asked.ask("GET", file, login: nil)
            #expect(answer.status == 200 && answer.head.contains("default-src 'none'"), "\(file)")
        }
        _ = try asked.rig.curl("http://backend.test/y")
        _ = try asked.rig.curl("http://none.test/")
        let state = try asked.ask("GET", "/api/page/state").body
        #expect(state.contains(#""address":"backend.test:80""#) && state.contains("system not exposed"), "\(state)")
        let steps = try asked.ask("POST", "/api/page/check", #"{"virtualHost":"backend.test:80"}"#)
        #expect(steps.list.map { $0["name"] as? String } == ["name", "TCP", "HTTP"] && !steps.body.contains("false"))
        #expect(try asked.ask("POST", "/api/page/check", #"{"virtualHost":"x:1"}"#).status == 404)
        let explained = try asked.ask("POST", "/api/page/explain", #"{"url":"http://backend.test/x"}"#)
        #expect(explained.json["isAllowed"] as? Bool == true)
        let before = try asked.file()
        #expect(try asked.ask("PUT", connector, #"{"description":"later"}"#).status == 200)
        let version = try #require(try asked.ask("GET", "/api/page/history").list.first)
        #expect((version["difference"] as? [String])?.contains { $0.hasPrefix("+") && $0.contains("later") } == true)
        let name = try #require(version["name"] as? String)
        let restored = try asked.ask(
            "POST",
            "/api/page/history/restore",
            #"{"file":"connector0.conf","name":"\#(name)"}"#
        )
        #expect(restored.status == 204, "\(restored)")
        #expect(try asked.file() == before)
        #expect(try asked.ask("POST", "/api/page/history/restore", #"{"file":"/etc/passwd","name":"x"}"#).status == 404)
        // Records are written behind the requests.
        #expect(try Rig.eventually { try asked.ask("GET", "/api/page/audit").body.contains("CONFIGURATION_CHANGED") })
        #expect(try asked.ask("POST", "/api/page/audit/verify").json["isWhole"] as? Bool == true)
        #expect(try asked.ask("GET", "/api/page/log").body.contains("administration served"))
        try asked.add("agent", role: "monitoring")
        #expect(try asked.ask("GET", "/api/page/state", login: "agent:\(AskedConnector.password)").status == 403)
    }
}
