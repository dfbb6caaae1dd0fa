import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// Principal propagation through SAP's configuration API, as its clients and its Terraform provider use it.
@Suite(.serialized) struct PropagationAPITests {
    private static let root = "/api/v1/configuration/connector/onPremises"
    private static let rules = root + "/subjectPatternRules"
    private static let settings = root + "/ppSettings"
    private static let authority = root + "/ppCaCertificate"

    private static func rule(_ variable: String, _ condition: String, _ subject: String) -> String {
        "{\"description\":\"d\",\"condition\":{\"variable\":\"\(variable)\",\(condition)},\"subjectPattern\":{\(subject)}}"
    }

    private static func conditions(_ asked: AskedConnector) throws -> [String] {
        try asked.ask("GET", rules).list.compactMap { $0["condition"] as? String }
    }

    @Test("Tolerance and validity are read, set as a whole and in part, within their ranges")
    func settings() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        #expect(
            try asked.ask("GET", Self.settings).json == ["expirationToleranceInHr": 1, "certificateValidityInMin": 60]
        )
        let whole = #"{"expirationToleranceInHr":336,"certificateValidityInMin":43200}"#
        let set = try asked.ask("PUT", Self.settings, whole)
        #expect(set.status == 204, "\(set)")
        #expect(try asked.ask("PATCH", Self.settings, #"{"certificateValidityInMin":5}"#).status == 204)
        #expect(
            try asked.ask("GET", Self.settings).json == ["expirationToleranceInHr": 336, "certificateValidityInMin": 5]
        )
        let before = try asked.file()
        for body in [
            "{}", #"{"expirationToleranceInHr":1}"#, #"{"expirationToleranceInHr":337,"certificateValidityInMin":60}"#,
            #"{"expirationToleranceInHr":1,"certificateValidityInMin":0}"#,
            #"{"expirationToleranceInHr":"x","certificateValidityInMin":60}"#,
        ] {
            #expect(try asked.ask("PUT", Self.settings, body).status == 400, "\(body)")
        }
        #expect(try asked.ask("PATCH", Self.settings, "{}").status == 400)
        #expect(try asked.file() == before)
    }

    @Test(
        "Identity providers are listed, trusted no more and trusted again, and their keys are fetched anew when asked for"
    )
    func trust() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let issuer = try TokenIssuer(asked.rig.folder)
        let keys = try String(contentsOf: asked.rig.folder.appending(path: "keys.json"), encoding: .utf8)
        let fetches = Mutex(0)
        let server = TestServer.http { _, _ in
            fetches.withLock { $0 += 1 }
            return TestServer.ok(keys)
        }
        defer { server.stop() }
        let trust = AskedConnector.subaccount + "/trust"
        #expect(try asked.ask("GET", trust).json == ["autoSyncTrustEnabled": false])
        #expect(try asked.ask("GET", trust + "/idps").list.isEmpty)
        let refused = try asked.ask("PUT", trust, #"{"autoSyncTrustEnabled":true}"#)
        #expect(refused.status == 400 && refused.message.contains("no trust configuration"), "\(refused)")
        try asked.rig.rewrite {
            $0.replacing(
                "protocol: HTTP, resources",
                with: "protocol: HTTPS, authentication-mode: X509_GENERAL, resources"
            ) + """
                principal-propagation:
                  trust:
                    - {issuer: "https://idp.test", keys: "http://127.0.0.1:\(server.port)/keys"}
                    - {issuer: "https://other.test", keys: keys.json}

                """
        }
        #expect(try asked.rig.control("reload", "--socket", "connector.sock").status == 0)
        #expect(try asked.ask("POST", Self.authority, #"{"type":"selfsigned","subjectDN":"CN=users"}"#).status == 201)
        let before = try asked.file()
        #expect(try asked.ask("GET", trust).json == ["autoSyncTrustEnabled": true])
        #expect(try asked.ask("PUT", trust, #"{"autoSyncTrustEnabled":true}"#).status == 204)
        #expect(try asked.ask("PUT", trust, #"{"autoSyncTrustEnabled":false}"#).status == 400)
        #expect(Rig.eventually { fetches.withLock { $0 } == 1 })
        #expect(try asked.ask("POST", trust).status == 204)
        #expect(Rig.eventually { fetches.withLock { $0 } == 2 })
        let list = try asked.ask("GET", trust + "/idps").list
        #expect(list.map { $0["name"] as? String } == ["https://idp.test", "https://other.test"])
        #expect(try asked.ask("GET", trust + "/idps/1").json["enabled"] as? Bool == true)
        try issuer.token("anna", issuer: "https://other.test").write(
            to: asked.rig.folder.appending(path: "token"),
            atomically: true,
            encoding: .utf8
        )
        func explained() throws -> String {
            try asked.rig.explainUser("http://backend.test/x").output
        }
        let known = try explained()
        #expect(known.contains("https://other.test is trusted"), "\(known)")
        #expect(try asked.ask("PUT", trust + "/idps/1", #"{"enabled":"false"}"#).status == 204)
        #expect(try asked.ask("GET", trust + "/idps/1").json["enabled"] as? Bool == false)
        #expect(try asked.file().contains("active: false"))
        let unknown = try explained()
        #expect(!unknown.contains("https://other.test is trusted"), "\(unknown)")
        #expect(try asked.ask("PUT", trust + "/idps/1", #"{"enabled":true}"#).status == 204)
        #expect(try asked.file() == before)
        for (method, path, body, status) in [
            ("GET", "/idps/2", nil, 404), ("PUT", "/idps/0", "{}", 400), ("PUT", "/apps/0", #"{"enabled":true}"#, 404),
            ("DELETE", "/idps/0", nil, 405), ("PATCH", "", "{}", 405), ("GET", "/idps/0/x", nil, 404),
        ] as [(String, String, String?, Int)] {
            #expect(try asked.ask(method, trust + path, body).status == status, "\(method) \(path)")
        }
    }

    @Test("Rules are added in front of the one that always holds, changed, moved and removed, with SAP's texts")
    func patterns() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let first = try asked.ask("GET", Self.rules).list
        #expect(first.count == 1 && first[0]["condition"] as? String == "always true")
        #expect(first[0]["subjectPattern"] as? [String: String] == ["CN": "${name}"])
        let all = #""CN":"c","EMAIL":"e","L":"l","OU":"a, b","O":"${org}","ST":"st","C":"TC""#
        let added = try asked.ask("POST", Self.rules, Self.rule("name", #""operator":"is","value":"X""#, all))
        #expect(
            added.status == 201 && added.field("location")?.hasSuffix(Self.rules.lowercased() + "/0") == true,
            "\(added)"
        )
        #expect(
            try asked.ask("POST", Self.rules, Self.rule("mail", #""operator":"exist_not""#, #""CN":"x""#)).status == 201
        )
        #expect(try Self.conditions(asked) == ["name is X", "mail does not exist", "always true"])
        let subject = try asked.ask("GET", Self.rules).list[0]["subjectPattern"] as? [String: String]
        #expect(subject == ["CN": "c", "EMAIL": "e", "L": "l", "OU": "a, b", "O": "${org}", "ST": "st", "C": "TC"])
        #expect(try asked.ask("POST", Self.rules + "/0/move", #"{"position":1}"#).status == 200)
        #expect(try Self.conditions(asked) == ["mail does not exist", "name is X", "always true"])
        let changed = Self.rule("group", #""operator":"is_not","value":"a b""#, #""CN":"${name}""#)
        #expect(try asked.ask("PUT", Self.rules + "/0", changed).status == 204)
        #expect(try Self.conditions(asked).first == "group is not a b")
        #expect(try asked.ask("DELETE", Self.rules + "/1").status == 204)
        #expect(try Self.conditions(asked) == ["group is not a b", "always true"])
        #expect(try asked.file().contains("  # the last line\n"))
        let before = try asked.file()
        let bad: [(String, String, String?)] = [
            ("DELETE", "/1", nil), ("DELETE", "/2", nil), ("DELETE", "/x", nil), ("PUT", "/1", changed),
            ("POST", "/0/move", #"{"position":1}"#), ("POST", "/0/move", #"{"position":9}"#),
            ("POST", "", Self.rule("name", #""operator":"is""#, all)),
            ("POST", "", Self.rule("name", #""operator":"exist","value":"v""#, all)),
            ("POST", "", Self.rule("name", #""operator":"like","value":"v""#, all)),
            ("POST", "", Self.rule("${name}", #""operator":"exist""#, all)),
            ("POST", "", Self.rule("name", #""operator":"exist""#, #""O":"only""#)),
            ("POST", "", Self.rule("name", #""operator":"exist""#, #""XX":"x""#)), ("POST", "", #"{"condition":1}"#),
        ]
        for (method, path, body) in bad {
            let answer = try asked.ask(method, Self.rules + path, body)
            #expect(
                answer.status == 400 && answer.json["message"] is String,
                "\(method) \(path) \(body ?? ""): \(answer)"
            )
        }
        #expect(try asked.file() == before)
    }

    @Test("The CA is made, asked for elsewhere, brought and removed; a sample is signed by it")
    func authority() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let folder = asked.rig.folder
        func openssl(_ arguments: String...) throws -> String {
            try Rig.run(URL(filePath: "/usr/bin/openssl"), arguments, folder).output
        }
        #expect(try asked.ask("GET", Self.authority).status == 404)
        #expect(try asked.ask("DELETE", Self.authority).status == 404)
        let wanted = #"{"type":"TYPE","keySize":2048,"subjectDN":"CN=Users,O=Plant,C=DE"}"#
        let own = try asked.ask("POST", Self.authority, wanted.replacing("TYPE", with: "selfsigned"))
        #expect(own.status == 201, "\(own)")
        #expect(try asked.ask("GET", Self.authority).json["subjectDN"] as? String == "CN=Users,O=Plant,C=DE")
        let der = try asked.ask("GET", Self.authority, nil, "-H", "Accept: application/pkix-cert")
        #expect(der.status == 200 && der.head.contains("ca_certificate.der"), "\(der.head)")
        // A sample, by a rule with two variables.
        let two = Self.rule("group", #""operator":"exist""#, #""CN":"${name}","OU":"${group}""#)
        #expect(try asked.ask("POST", Self.rules, two).status == 201)
        let sample = try asked.ask(
            "GET",
            Self.rules + "/0/sampleCertificate?name=jdoe&group=a%26b",
            nil,
            "-H",
            "Accept: application/x-pem-file"
        )
        #expect(sample.status == 200 && sample.head.contains("scc_sample_cert.pem"), "\(sample)")
        try sample.body.write(to: folder.appending(path: "sample.pem"), atomically: true, encoding: .utf8)
        let subject = try openssl("x509", "-in", "sample.pem", "-noout", "-subject", "-nameopt", "RFC2253")
        #expect(subject.contains("CN=jdoe,OU=a&b"), "\(subject)")
        for query in ["", "?name=jdoe", "?name=jdoe&group=a&more=b"] {
            #expect(try asked.ask("GET", Self.rules + "/0/sampleCertificate" + query).status == 400)
        }
        // Signed elsewhere.
        let request = try asked.ask("POST", Self.authority, wanted.replacing("TYPE", with: "csr"))
        try request.body.write(to: folder.appending(path: "ask.csr"), atomically: true, encoding: .utf8)
        let company = try OpenSSLAuthority(folder)
        try company.sign("ask.csr", "basicConstraints=critical,CA:FALSE\n")
        let refused = try asked.ask("PATCH", Self.authority, nil, "-F", "signedCertificate=@answer.pem")
        #expect(refused.status == 400 && refused.body.contains("may not sign others"), "\(refused)")
        try company.sign("ask.csr", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        #expect(try asked.ask("PATCH", Self.authority, nil, "-F", "signedCertificate=@answer.pem").status == 201)
        #expect(try asked.ask("GET", Self.authority).json["issuer"] as? String == "CN=Root")
        #expect(try asked.ask("PATCH", Self.authority, nil, "-F", "signedCertificate=@answer.pem").status == 400)
        // Only the files in force are left.
        let left = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.contains("user-ca.") }
        #expect(left.count == 2, "\(left)")
        #expect(try asked.ask("DELETE", Self.authority).status == 204)
        #expect(try asked.ask("GET", Self.authority).status == 404)
        #expect(try asked.file().contains("subject-patterns:"))
    }

    @Test("A system certificate of a PKCS #12 file is taken, with its password only")
    func system() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let path = Self.root.replacing("onPremises", with: "onPremise") + "/systemCertificate"
        _ = try Rig.run(
            URL(filePath: "/usr/bin/openssl"),
            [
                "pkcs12", "-export", "-in", "connector.pem", "-inkey", "connector.key", "-passout", "pass:secret",
                "-out", "own.p12",
            ],
            asked.rig.folder
        )
        #expect(try asked.ask("PUT", path, nil, "-F", "pkcs12=@own.p12", "-F", "password=wrong").status == 400)
        #expect(try asked.ask("PUT", path, nil, "-F", "pkcs12=@own.p12").status == 400)
        #expect(try asked.ask("PUT", path, nil, "-F", "pkcs12=@own.p12", "-F", "password=secret").status == 204)
        #expect(try asked.ask("GET", path).json["serialNumber"] is String)
        #expect(try asked.file().contains("system-certificate:"))
        #expect(try asked.ask("DELETE", path).status == 204)
        #expect(try !asked.file().contains("system-certificate:"))
    }
}
