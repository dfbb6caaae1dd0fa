import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// SAP's configuration API, call by call as its clients make them, against the built program.
@Suite(.serialized)
struct ConfigurationAPITests {
    private static let mapping = #"""
        {"authenticationMode":"NONE","backendType":"abapSys","hostInHeader":"VIRTUAL","localHost":"127.0.0.1","localPort":"PORT","protocol":"HTTP","virtualHost":"v","virtualPort":"900"}
        """#

    /// What a proxy was asked.
    private final class Heads: Sendable {
        private let heads = Mutex<[String]>([])

        func add(_ head: String) { heads.withLock { $0.append(head) } }
        var all: [String] { heads.withLock { $0 } }
    }

    @Test("A mapping and a resource are made, read, changed and removed, and requests follow at once")
    func lifeOfAMapping() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let mappings = AskedConnector.subaccount + "/systemMappings"
        let body = Self.mapping.replacing("PORT", with: "\(asked.backend.port)")
        let created = try asked.ask("POST", mappings, body)
        #expect(created.status == 201 && created.body.isEmpty, "\(created)")
        #expect(created.head.contains("location: https://scc.test:8443\(mappings)/v:900".lowercased()))
        #expect(created.head.contains("content-length: 0") && !created.head.contains("\ncontent-type"))
        let read = try asked.ask("GET", "\(mappings)/v:900").json
        #expect(read["virtualPort"] as? String == "900" && read["localPort"] as? String == "\(asked.backend.port)")
        #expect(read["hostInHeader"] as? String == "VIRTUAL" && read["backendType"] as? String == "abapSys")
        #expect(read["totalResourcesCount"] as? Int == 0 && read["description"] == nil)
        let date = try #require(read["creationDate"] as? String)
        #expect(abs((Double(date) ?? 0) / 1000 - Date().timeIntervalSince1970) < 60)
        #expect(try asked.rig.curl("http://v:900/a-b+c").contains("403 Forbidden"))
        let resource =
            #"{"description":"r","enabled":"true","exactMatchOnly":"false","id":"/a-b+c","websocketUpgradeAllowed":"false"}"#
        let exposed = try asked.ask("POST", "\(mappings)/v:900/resources", resource)
        #expect(exposed.status == 201 && exposed.head.contains("resources/-a+2db+2bc"), "\(exposed)")
        #expect(try asked.rig.curl("http://v:900/a-b+c").hasSuffix("here"))
        let one = try asked.ask("GET", "\(mappings)/v:900/resources/-a+2Db+2Bc").json
        #expect(
            one["id"] as? String == "/a-b+c" && one["enabled"] as? Bool == true
                && one["exactMatchOnly"] as? Bool == false
        )
        #expect(try asked.ask("GET", "\(mappings)/v:900/resources").list.first?["_links"] as? NSDictionary == [:])
        let suspended = try asked.ask(
            "PUT",
            "\(mappings)/v:900/resources/-a+2Db+2Bc",
            #"{"enabled":false,"exactMatchOnly":true}"#
        )
        #expect(
            suspended.status == 204 && !suspended.head.contains("\ncontent-type")
                && !suspended.head.contains("content-length")
        )
        #expect(try asked.rig.curl("http://v:900/a-b+c").contains("403 Forbidden"))
        let changed = body.replacing("VIRTUAL", with: "INTERNAL").replacing(
            "\"protocol\"",
            with: "\"description\":\"\",\"protocol\""
        )
        #expect(try asked.ask("PUT", "\(mappings)/v:900", changed).status == 204)
        let again = try asked.ask("GET", "\(mappings)/v:900").json
        #expect(
            again["creationDate"] as? String == date && again["description"] as? String == ""
                && again["hostInHeader"] as? String == "INTERNAL"
        )
        #expect(again["totalResourcesCount"] as? Int == 1 && again["enabledResourcesCount"] as? Int == 0)
        #expect(try asked.ask("DELETE", "\(mappings)/v:900/resources/-a+2Db+2Bc").status == 204)
        #expect(try asked.ask("GET", "\(mappings)/v:900/resources/-a+2Db+2Bc").status == 404)
        #expect(try asked.ask("DELETE", "\(mappings)/v:900").status == 204)
        #expect(try asked.file() == before)
        #expect(asked.rig.connectors[0].stop() == 0)
        #expect(try asked.rig.control("audit", "verify", "audit").status == 0)
    }

    @Test("Version, connector and subaccounts are told as clients expect them")
    func reads() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let version = try asked.ask("GET", "/api/v1/connector/version")
        #expect(
            version.json["version"] is String && version.head.contains("cache-control: max-age=3600")
                && !version.head.contains("no-store")
        )
        #expect(try asked.ask("GET", "/api/v1/configuration/connector").json == ["ha": "master", "description": ""])
        #expect(
            try asked.ask("PUT", "/api/v1/configuration/connector", #"{"description":"Plant 4"}"#).json["description"]
                as? String == "Plant 4"
        )
        #expect(try asked.ask("PUT", "/api/v1/configuration/connector", #"{"description":null}"#).status == 400)
        #expect(try asked.ask("GET", "/api/v1/configuration/connector/haRole").body == "\"master\"\n")
        let list = try asked.ask("GET", "/api/v1/configuration/subaccounts").list
        #expect(list.count == 1 && list[0]["regionHost"] as? String == "cf.example.com" && list[0]["tunnel"] == nil)
        let one = try asked.ask("GET", AskedConnector.subaccount)
        let tunnel = one.json["tunnel"] as? NSDictionary
        #expect(
            tunnel?["state"] as? String == "Connected"
                && (tunnel?["connectedSinceTimeStamp"] as? Int ?? 0) > 1_700_000_000_000
        )
        #expect(one.head.contains("cache-control: no-store"))
        let missing = try asked.ask("GET", "/api/v1/configuration/subaccounts/r/nobody/systemMappings")
        #expect(
            missing.status == 404
                && missing.json == ["type": "NOT_FOUND", "message": "Subaccount with value 'nobody@r' does not exist"]
        )
    }

    @Test("A proxy's password goes into a file of its own, stays when it is not sent again, and goes with the proxy")
    func proxyPassword() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let proxy = "/api/v1/configuration/connector/proxy"
        let folder = asked.rig.folder.appending(path: "admin")
        func passwords() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("proxy-password") }
        }
        func put(_ host: String, _ rest: String) throws -> Int {
            try asked.ask("PUT", proxy, #"{"host":"\#(host)","port":"3128"\#(rest)}"#).status
        }
        #expect(try put("p.test", #","user":"u","password":"first: #1""#) == 204)
        let shown = ["host": "p.test", "port": "3128", "user": "u", "password": "***"]
        #expect(try asked.ask("GET", proxy).json as? [String: String] == shown)
        #expect(try asked.file().contains("password-file: ") && !asked.file().contains("first"))
        let file = folder.appending(path: try #require(try passwords().first))
        #expect(try String(contentsOf: file, encoding: .utf8) == "first: #1")
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        // As clients send back what they have read.
        #expect(try put("p.test", #","user":"u","password":"***""#) == 204)
        #expect(try put("p.test", #","user":"u""#) == 204)
        #expect(try put("q.test", #","user":"u","password":"***""#) == 400, "it was told for another proxy")
        #expect(try put("p.test", #","user":"u","password":"a\nb""#) == 400)
        #expect(try passwords() == [file.lastPathComponent])
        #expect(try put("q.test", #","user":"other""#) == 400)
        #expect(
            try asked.ask("PUT", proxy + "?dry-run=true", #"{"host":"r","port":1,"user":"u","password":"n"}"#).status
                == 200
        )
        #expect(try passwords() == [file.lastPathComponent])
        #expect(try put("q.test", #","user":"u","password":"second""#) == 204)
        let second = try passwords()
        #expect(second.count == 1 && second != [file.lastPathComponent])
        #expect(try put("q.test", "") == 204)
        #expect(try passwords().isEmpty && asked.file().contains("  http-proxy: q.test:3128\n"))
    }

    @Test("A proxy that is no longer configured is asked no more, and neither hears the other's password")
    func formerProxy() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let (first, second) = (Heads(), Heads())
        let former = TestServer.http { head, _ in
            first.add(head)
            return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        }
        let present = TestServer.http { head, _ in
            second.add(head)
            return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        }
        defer {
            former.stop()
            present.stop()
        }
        let proxy = "/api/v1/configuration/connector/proxy"
        func put(_ port: Int, _ password: String) throws -> Int {
            try asked.ask("PUT", proxy, #"{"host":"127.0.0.1","port":\#(port),"user":"u","password":"\#(password)"}"#)
                .status
        }
        #expect(try put(former.port, "first") == 204)
        #expect(Rig.eventually { first.all.count >= 2 })
        #expect(try put(present.port, "second") == 204)
        let before = first.all.count
        // Longer each time: the former one would be asked as well.
        #expect(Rig.eventually { second.all.count >= 4 })
        #expect(first.all.count <= before + 1)
        let credentials = Data("u:second".utf8).base64EncodedString()
        #expect(second.all.allSatisfy { $0.contains(credentials) })
    }

    @Test("Proxy and trust store of the connector are read and changed, and end as they began")
    func connectorWide() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let proxy = "/api/v1/configuration/connector/proxy"
        #expect(try asked.ask("GET", proxy).json == [:])
        #expect(try asked.ask("DELETE", proxy).status == 204)
        #expect(try asked.file() == before)
        #expect(try asked.ask("PUT", proxy, #"{"host":"proxy.test","port":3128}"#).status == 204)
        #expect(try asked.ask("GET", proxy).json == ["host": "proxy.test", "port": "3128"])
        #expect(try asked.file().contains("  http-proxy: proxy.test:3128\n"))
        #expect(try asked.ask("PUT", proxy, "{}").status == 204)
        #expect(try asked.ask("GET", proxy).json == [:])
        let trust = "/api/v1/configuration/connector/onPremises/truststore"
        #expect(try asked.ask("GET", trust).json == ["trustAllBackends": false, "trustedBackends": []])
        #expect(try asked.ask("PATCH", trust, #"{"trustAllBackends":true}"#).status == 204)
        #expect(try asked.file().contains("backend-trust:\n  trust-all: true\n"))
        try asked.rig.rewrite { $0.replacing("  trust-all: true", with: "  certificates: [ca.pem, ca.pem]") }
        let list =
            try asked.ask("GET", trust.replacing("onPremises", with: "onPremise")).json["trustedBackends"]
            as? [NSDictionary]
        #expect(list?.map { $0["alias"] as? String } == ["trustedbackend.1.1", "trustedbackend.2.1"])
        #expect((list?.first?["notAfterTimeStamp"] as? Int ?? 0) > 1_700_000_000_000)
    }

    @Test("Bad input gets the error form and changes nothing")
    func badInput() throws {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let before = try asked.file()
        let mappings = AskedConnector.subaccount + "/systemMappings"
        let good = Self.mapping.replacing("PORT", with: "1")
        let cases: [(method: String, path: String, body: String?, status: Int, text: String)] = [
            ("POST", mappings, "{", 400, "not JSON"), ("POST", mappings, "[]", 400, "must be an object"),
            ("POST", mappings, #"{"virtualHost":"a"}"#, 400, "virtualPort is missing"),
            ("POST", mappings, good.replacing("\"900\"", with: "{}"), 400, "virtualPort must be a text, not an object"),
            ("POST", mappings, good.replacing("localHost", with: "localhost"), 400, "localHost is missing"),
            (
                "POST", mappings, good.replacing("{\"auth", with: "{\"virtualHots\":1,\"auth"), 400,
                "did you mean virtualHost?"
            ),
            ("POST", mappings, good.replacing("\"HTTP\"", with: "\"HTPS\""), 400, "did you mean HTTPS?"),
            ("POST", mappings, good.replacing("\"HTTP\"", with: "\"RFC\""), 400, "RFC is not supported yet"),
            ("POST", mappings, good.replacing("NONE", with: "X509_GENERAL"), 400, "X509_GENERAL"),
            ("POST", mappings, good.replacing("\"900\"", with: "\"0\""), 400, "0 is not a port"),
            ("POST", mappings, good.replacing("\"v\"", with: "\"a\\n- b\""), 400, "is not a host name"),
            ("POST", mappings, good.replacing("\"v\"", with: "\"v\",\"virtualHost\":\"w\""), 400, "ambiguous JSON"),
            ("POST", mappings + "/backend.test:80/resources", #"{"id":"x"}"#, 400, "starts with"),
            (
                "POST", mappings + "/backend.test:80/resources", #"{"id":"/","enabled":"maybe"}"#, 400,
                "enabled must be true or false"
            ),
            ("POST", mappings + "/backend.test:80/resources", #"{"id":"/"}"#, 409, "exists already"),
            ("POST", mappings + "/none:1/resources", #"{"id":"/"}"#, 404, "'none:1' does not exist"),
            ("PUT", mappings + "/backend.test:80/resources/+2F", "{}", 404, "does not exist"),
            ("PUT", mappings + "/backend.test:80/resources/..%2F..", "{}", 404, "does not exist"),
            ("GET", mappings + "//resources", nil, 404, "no such path"),
            ("GET", mappings + "/%zz", nil, 404, "no such path"),
            ("PATCH", mappings, "{}", 405, "only GET, POST, DELETE"),
            ("GET", AskedConnector.subaccount + "/channels/K8S", nil, 400, "has no channels"),
            ("PUT", AskedConnector.subaccount + "/domainMappings/x", "{}", 404, "'x' does not exist"),
            (
                "POST", AskedConnector.subaccount + "/domainMappings", #"{"internalDomain":"a b","virtualDomain":"v"}"#,
                400, "is not a domain"
            ),
            ("GET", "/api/v1/configuration/connector/solutionManagement", nil, 400, "yet"),
            ("PUT", "/api/v1/configuration/connector/proxy", #"{"host":"h"}"#, 400, "port is missing"),
            (
                "PUT", "/api/v1/configuration/connector/proxy", #"{"host":"h","port":1,"user":"u"}"#, 400,
                "password is missing"
            ),
            (
                "PUT", "/api/v1/configuration/connector/proxy", #"{"host":"h","port":1,"password":"p"}"#, 400,
                "user is missing"
            ),
            (
                "PUT", "/api/v1/configuration/connector/proxy", #"{"host":"h","port":1,"user":"a:b","password":"p"}"#,
                400, "must not contain a colon"
            ),
            ("PUT", "/api/v1/configuration/connector/proxy", #"{"host":"h","port":99999}"#, 400, "http-proxy"),
            ("PATCH", "/api/v1/configuration/connector/onPremise/truststore", "{}", 400, "trustAllBackends is missing"),
        ]
        for example in cases {
            let answer = try asked.ask(example.method, example.path, example.body)
            let message = answer.json["message"] as? String ?? ""
            #expect(answer.status == example.status && message.contains(example.text), "\(example): \(answer)")
            #expect(answer.json["type"] is String)
        }
        #expect(try asked.ask("POST", mappings, good, type: "text/plain").status == 415)
        try Data(repeating: 0x20, count: 10 << 20).write(to: asked.rig.folder.appending(path: "large"))
        #expect(try asked.ask("POST", mappings, "@large").status == 413)
        #expect(try asked.file() == before)
        #expect(try asked.ask("POST", mappings, good).status == 201)
        #expect(try asked.ask("POST", mappings, good).status == 409)
    }
}
