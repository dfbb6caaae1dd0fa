import ConnectorTestSupport
import Cryptography
import Foundation
import Testing

/// The user of a program in the cloud arrives at a system inside with a ticket of the company's own realm.
@Suite(.serialized, .enabled(if: KerberosRealm.isThere)) struct KerberosTests {
    private static func system(_ name: String, _ port: Int, _ more: String = "") -> String {
        "  - {virtual-host: \"\(name):80\", internal-host: \"localhost:\(port)\", protocol: HTTP, authentication-mode: KERBEROS\(more), "
            + "resources: [{path: /, access: path-and-sub-paths}]}\n"
    }

    private static let trust = """
        audit: {directory: audit}
        principal-propagation:
          trust:
            - {issuer: "https://idp.test", keys: keys.json}

        """

    private struct Plant {
        let rig: Rig
        let realm: KerberosRealm
        let issuer: TokenIssuer

        init() throws {
            rig = try Rig()
            realm = try KerberosRealm(rig.folder)
            issuer = try TokenIssuer(rig.folder)
            try realm.startWeb()
        }

        func stop() {
            rig.stop()
            realm.stop()
        }

        func ask(_ host: String, _ user: String?, _ more: String...) throws -> String {
            let fields =
                try user.map { ["-H", "SAP-Connectivity-Authentication: Bearer \(try issuer.token($0))"] } ?? []
            return try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-i", "-m", "30", "-x", "127.0.0.1:\(rig.proxyPort)"] + fields + more + ["http://\(host)/"],
                rig.folder
            ).output
        }
    }

    @Test func `Users arrive with tickets of their own, each on connections that nobody else gets`() throws {
        let plant = try Plant()
        defer { plant.stop() }
        try plant.rig.startConnector(
            systems: Self.system("web.test", plant.realm.webPort)
                + Self.system("named.test", plant.realm.webPort, ", service-principal-name: HTTP/localhost"),
            extra: Self.trust + plant.realm.section
        )
        // A logon stays with its connection at this server: whoever came without a ticket would be the one before.
        var ports: [String] = []
        for user in ["anna", "berta", "anna", "anna@CORP.TEST"] {
            let answer = try plant.ask("web.test", user)
            let name = user.split(separator: "@")[0]
            #expect(answer.contains("200 OK") && answer.contains("x-user: \(name)@CORP.TEST\r\n"), "\(answer)")
            ports.append(
                answer.split(separator: "x-port: ").last?.split(separator: "\r\n").first.map(String.init) ?? ""
            )
            let nobody = try plant.ask("web.test", nil)
            #expect(nobody.contains("401 Unauthorized") && !nobody.contains("x-user: a"), "\(nobody)")
        }
        #expect(ports[0] == ports[2] && Set(ports).count == 3, "a user's connection is used again: \(ports)")
        // What a program says of a logon itself is not heard beside a user.
        let both = try plant.ask("web.test", "anna", "-H", "Authorization: Basic YTpi")
        #expect(both.contains("x-user: anna@CORP.TEST"), "\(both)")
        #expect(try plant.ask("named.test", "berta", "-d", "a body").contains("x-user: berta@CORP.TEST"))
        // Tickets are kept for a while: the KDC is asked once for each user, and not for each request.
        #expect(
            plant.realm.logged("PROTOCOL-TRANSITION s4u-client=anna@CORP.TEST") == 2,
            "once for each way to write the name"
        )
        #expect(plant.realm.logged("PROTOCOL-TRANSITION s4u-client=berta@CORP.TEST") == 1)
    }

    @Test func `Whoever the KDC does not let in stays outside, with the reason`() throws {
        let plant = try Plant()
        defer { plant.stop() }
        try plant.rig.startConnector(
            systems: Self.system("web.test", plant.realm.webPort)
                + Self.system("other.test", plant.realm.webPort, ", service-principal-name: HTTP/other")
                + Self.system("missing.test", plant.realm.webPort, ", service-principal-name: HTTP/missing"),
            extra: Self.trust + plant.realm.section
        )
        for (host, user, cause) in [
            ("web.test", "clara", "the KDC knows no user clara in realm CORP.TEST"),
            // Nobody becomes a service, or one of another realm, by a name.
            ("web.test", "HTTP/localhost", "the KDC knows no user HTTP/localhost"),
            ("web.test", "anna@OTHER.TEST", "the KDC knows no user anna@OTHER.TEST"),
            (
                "other.test", "anna",
                "the KDC does not let connector@CORP.TEST act for others towards HTTP/other@CORP.TEST"
            ),
            ("missing.test", "anna", "the KDC knows no service HTTP/missing@CORP.TEST"),
        ] {
            let answer = try plant.ask(host, user)
            #expect(answer.contains("403 Forbidden") && answer.contains(cause), "\(answer)")
            #expect(answer.contains("Unable to generate authorization token for user \(user) on system \(host):80"))
        }
        plant.realm.stopCenter()
        let away = try plant.ask("web.test", "anna")
        #expect(away.contains("502 Bad Gateway") && away.contains("no KDC of realm CORP.TEST answers"), "\(away)")
        try plant.realm.startCenter()
        #expect(try Rig.eventually { try plant.ask("web.test", "anna").contains("x-user: anna@CORP.TEST") })
    }

    @Test
    func `The section comes by hand, mappings by SAP's API, and a check says whether the connector gets a ticket`()
        throws
    {
        let asked = try AskedConnector()
        defer { asked.stop() }
        let realm = try KerberosRealm(asked.rig.folder)
        defer { realm.stop() }
        let issuer = try TokenIssuer(asked.rig.folder)
        let mapping =
            #"{"virtualHost":"web.test","virtualPort":"80","localHost":"localhost","localPort":"\#(asked.backend.port)","#
            + #""protocol":"HTTP","backendType":"nonSAPsys","hostInHeader":"VIRTUAL","authenticationMode":"KERBEROS"}"#
        let mappings = AskedConnector.subaccount + "/systemMappings"
        // In either order, as with SAP's product; requests of users are refused until both are there.
        let early = mappings + "?dry-run=true"
        #expect(try asked.ask("POST", early, mapping).body.contains("KERBEROS needs the section kerberos"))
        try asked.rig.rewrite {
            $0 + "\n" + Self.trust.replacing("audit: {directory: audit}\n", with: "") + realm.section
        }
        #expect(try asked.rig.control("reload", "--socket", "connector.sock").status == 0)
        #expect(try asked.ask("POST", mappings, mapping).status == 201)
        let shown = try asked.ask("GET", mappings + "/web.test:80").body
        #expect(shown.contains(#""authenticationMode":"KERBEROS""#), "\(shown)")
        let check = #"{"virtualHost":"web.test:80"}"#
        let good = try asked.ask("POST", "/api/page/check", check).body
        #expect(good.contains("gets a ticket for HTTP/localhost@CORP.TEST") && !good.contains("false"), "\(good)")
        try issuer.token("anna").write(to: asked.rig.folder.appending(path: "token"), atomically: true, encoding: .utf8)
        _ = try asked.ask(
            "POST",
            mappings + "/web.test:80/resources",
            #"{"id":"/","enabled":true,"exactMatchOnly":false}"#
        )
        let explained = try asked.rig.explainUser("http://web.test/x").output
        for line in [
            "user        anna@CORP.TEST\n", "service     HTTP/localhost@CORP.TEST, asked for by connector\n",
            "Authorization: Negotiate (a new one each time)\n",
        ] {
            #expect(explained.contains(line), "\(explained)")
        }
        realm.stopCenter()
        let away = try asked.ask("POST", "/api/page/check", check).body
        #expect(away.contains("no KDC of realm CORP.TEST answers"), "\(away)")
    }

    @Test func `What is wrong with the section is said at its place`() throws {
        let plant = try Plant()
        defer { plant.stop() }
        try plant.rig.startConnector(
            systems: Self.system("web.test", plant.realm.webPort),
            extra: Self.trust + plant.realm.section
        )
        for (old, new, text) in [
            ("realm: CORP.TEST", "realm: \"CORP TEST\"", "kerberos.realm: is no name of a realm"),
            ("realm: CORP.TEST", "realm: OTHER.TEST", "has no keys of connector@OTHER.TEST"),
            ("user-name: connector", "user-name: nobody", "has no keys of nobody@CORP.TEST"),
            ("user-name: connector", "user-name: connector@CORP.TEST", "must stand without its realm"),
            ("\"127.0.0.1:", "\"kdc.test\", \"a b:", "kerberos.kdc-hosts[1]: must be a host, or host:port"),
            ("kdc-hosts", "kdc-host", "did you mean \"kdc-hosts\"?"),
            ("connector.keytab", "web.keytab", "web.keytab has no keys of connector@CORP.TEST"),
            ("protocol: HTTP,", "protocol: TCP,", "KERBEROS is for HTTP and HTTPS systems"),
            ("KERBEROS,", "KERBEROS, service-principal-name: web,", "must be a service and a host, without the realm"),
            (
                "KERBEROS,", "NONE, service-principal-name: HTTP/web,",
                "has no meaning without authentication-mode: KERBEROS"
            ),
            ("kerberos:", "# kerberos:", "KERBEROS needs the section kerberos"),
            ("principal-propagation:\n", "# ", "KERBEROS needs the section principal-propagation"),
        ] {
            let file = plant.rig.folder.appending(path: "connector0.conf")
            var wrong = try String(contentsOf: file, encoding: .utf8).replacing(old, with: new)
            if old.hasPrefix("principal") {
                wrong = wrong.split(separator: "\n").filter { !$0.contains("trust:") && !$0.contains("issuer") }.joined(
                    separator: "\n"
                )
            }
            try wrong.write(to: plant.rig.folder.appending(path: "wrong.conf"), atomically: true, encoding: .utf8)
            let output = try plant.rig.control("check-config", "wrong.conf").output
            #expect(output.contains(text), "\(new): \(output)")
        }
    }
}
