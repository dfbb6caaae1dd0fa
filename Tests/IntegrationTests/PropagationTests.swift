import ConnectorTestSupport
import Cryptography
import Foundation
import Synchronization
import Testing

/// The user of a program in the cloud arrives at an HTTPS system inside, with a certificate.
@Suite(.serialized) struct PropagationTests {
    /// Certificates, keys and a token's issuer, in the folder of a rig.
    private struct Plant {
        let rig: Rig
        let issuer: TokenIssuer
        private let authority: CertificateIssuer

        init() throws {
            rig = try Rig()
            issuer = try TokenIssuer(rig.folder)
            authority = try CertificateIssuer(commonName: "Inside CA", days: 2)
            let users = try CertificateIssuer(commonName: "Users CA", days: 2)
            try write("inside-ca.pem", authority.authority.certificate)
            try write("users-ca.pem", users.authority.certificate)
            try write("users-ca.key", users.authority.privateKey)
            for (name, purpose) in [
                ("server", .server(names: ["localhost", "127.0.0.1"])),
                ("system", .connector(ConnectorIdentity(subaccount: "test", locationID: ""))),
            ] as [(String, CertificateIssuer.Purpose)] {
                let made = try authority.issue(purpose, commonName: name, days: 1)
                try write("\(name).pem", made.certificate)
                try write("\(name).key", made.privateKey)
            }
        }

        func path(_ name: String) -> String { rig.folder.appending(path: name).path }

        func write(_ name: String, _ text: String) throws {
            try text.write(to: rig.folder.appending(path: name), atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path(name))
        }

        func token(_ user: String, issuer name: String = "https://idp.test", key: SigningKey? = nil) throws -> String {
            try issuer.token(user, issuer: name, key: key)
        }

        func server(asks: Bool, _ heads: Heads) async throws -> TLSTestServer {
            try await TLSTestServer.start(
                certificate: path("server.pem"),
                key: path("server.key"),
                clients: asks ? path("inside-ca.pem") : nil
            ) { head in
                heads.add(head)
                return TestServer.ok("hello")
            }
        }

        static let settings = """
            backend-trust: {certificates: [inside-ca.pem]}
            system-certificate: {certificate: system.pem, private-key: system.key}
            audit: {directory: audit}
            principal-propagation:
              ca: {certificate: users-ca.pem, private-key: users-ca.key}
              trust:
                - {issuer: "https://idp.test", keys: keys.json}
              subject-patterns:
                - {if: "${name} is admin", subject: "CN=nobody"}
                - {subject: "CN=${name},O=Plant"}
            """

        func system(_ name: String, _ port: Int, _ more: String) -> String {
            "  - {virtual-host: \"\(name):80\", internal-host: \"localhost:\(port)\", protocol: HTTPS, \(more), "
                + "resources: [{path: /, access: path-and-sub-paths}]}\n"
        }

        /// - Parameter token: nil for a request without a user.
        func ask(_ host: String, _ token: String?, _ more: String...) throws -> String {
            let fields = token.map { ["-H", "SAP-Connectivity-Authentication: Bearer \($0)"] } ?? []
            return try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-i", "-m", "20", "-x", "127.0.0.1:\(rig.proxyPort)"] + fields + more + ["http://\(host)/x"],
                rig.folder
            ).output
        }

        /// The subject of the certificate in a field, checked against the users' authority by OpenSSL.
        func verifiedSubject(_ base64: String) throws -> String {
            try write("user.b64", "-----BEGIN CERTIFICATE-----\n\(base64)\n-----END CERTIFICATE-----\n")
            let openssl = URL(filePath: "/usr/bin/openssl")
            try write("user.pem", try Rig.run(openssl, ["x509", "-in", "user.b64"], rig.folder).output)
            let verified = try Rig.run(
                openssl,
                ["verify", "-purpose", "sslclient", "-CAfile", "users-ca.pem", "user.pem"],
                rig.folder
            )
            guard verified.status == 0 else { return verified.output }
            return try Rig.run(
                openssl,
                ["x509", "-in", "user.pem", "-noout", "-subject", "-nameopt", "RFC2253"],
                rig.folder
            )
            .output.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    private final class Heads: Sendable {
        private let all = Mutex<[String]>([])

        func add(_ head: String) { all.withLock { $0.append(head) } }
        var count: Int { all.withLock { $0.count } }

        /// The values of a field in the last request.
        func last(_ name: String) -> [String] {
            all.withLock { $0.last ?? "" }.split(separator: "\r\n").filter { $0.hasPrefix("\(name):") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
    }

    @Test(
        "The right user arrives, and nobody for a request without one, or with a wrong one; what a program writes itself does not count"
    )
    func arrives() async throws {
        let plant = try Plant()
        defer { plant.rig.stop() }
        let heads = Heads()
        let server = try await plant.server(asks: true, heads)
        let connector = try plant.rig.startConnector(
            systems: plant.system("strict.test", server.port, "authentication-mode: X509_RESTRICTED")
                + plant.system("general.test", server.port, "authentication-mode: X509_GENERAL")
                + plant.system("none.test", server.port, "authentication-mode: NONE")
                + plant.system(
                    "own.test",
                    server.port,
                    "authentication-mode: X509_RESTRICTED, user-certificate-form: rfc9440, user-certificate-field: X-Client"
                ),
            extra: Plant.settings
        )
        for user in ["anna", "berta", "anna"] {
            #expect(try plant.ask("strict.test", try plant.token(user)).contains("200 OK"))
            let value = try #require(heads.last("SSL_CLIENT_CERT").first)
            #expect(try plant.verifiedSubject(value) == "subject=CN=\(user),O=Plant")
            #expect(heads.last("Sap-Connectivity-Authentication").isEmpty)
        }
        // The body waits for the user, and follows.
        #expect(
            try plant.ask("general.test", try plant.token("clara"), "-d", String(repeating: "x", count: 100_000))
                .contains("200 OK")
        )
        #expect(
            try plant.ask("own.test", try plant.token("anna"), "-H", "X-Client: forged", "-H", "x_client: forged")
                .contains("200 OK")
        )
        #expect(heads.last("X-Client").count == 1 && heads.last("X-Client")[0].hasPrefix(":MII"))
        // Nor through another mapping to the same host.
        #expect(try plant.ask("none.test", nil, "-H", "X-Client: forged").contains("200 OK"))
        #expect(heads.last("X-Client").isEmpty)
        // An empty field is no request without a user.
        let empty = try plant.ask("general.test", nil, "-H", "SAP-Connectivity-Authentication;")
        #expect(empty.contains("403 Forbidden"), "\(empty)")
        // Nobody.
        let forged = ["-H", "SSL_CLIENT_CERT: forged", "-H", "Ssl-Client-Cert: forged"]
        #expect(try plant.ask("strict.test", nil, forged[0], forged[1], forged[2], forged[3]).contains("200 OK"))
        #expect(heads.last("SSL_CLIENT_CERT") == [""] && heads.last("Ssl-Client-Cert").isEmpty)
        #expect(try plant.ask("general.test", nil).contains("200 OK"))
        #expect(heads.last("SSL_CLIENT_CERT").isEmpty)
        #expect(try plant.ask("none.test", try plant.token("anna")).contains("200 OK"))
        #expect(heads.last("SSL_CLIENT_CERT") == [""], "a user does not become the technical user")
        let count = heads.count
        for (wrong, cause) in [
            ("not.a.token", "SSO token validation failed"),
            (try plant.token("anna", issuer: "https://other.test"), "the token's issuer is not trusted"),
            (try plant.token("anna", key: SigningKey.rsa()), "the token's signature is wrong"),
            (try plant.token(""), "Unable to generate authorization token for user unknown on system strict.test:80"),
        ] {
            let answer = try plant.ask("strict.test", wrong)
            #expect(answer.contains("403 Forbidden") && answer.contains(cause), "\(answer)")
        }
        #expect(heads.count == count)
        #expect(connector.log.contains { $0.contains("phase=\"principal\"") })
        connector.stop()
        let audit = try plant.rig.auditText()
        #expect(audit.contains("Issued a certificate for user CN=anna,O=Plant by subject pattern 2"))
        try await server.stop()
    }

    @Test("A system that does not ask for the system certificate gets no user; without a CA file nothing starts")
    func failsClosed() async throws {
        let plant = try Plant()
        defer { plant.rig.stop() }
        let heads = Heads()
        let server = try await plant.server(asks: false, heads)
        try plant.rig.startConnector(
            systems: plant.system("strict.test", server.port, "authentication-mode: X509_RESTRICTED"),
            extra: Plant.settings
        )
        for _ in 0..<2 {
            let answer = try plant.ask("strict.test", try plant.token("anna"))
            #expect(
                answer.contains("502 Bad Gateway") && answer.contains("Principal propagation forbidden"),
                "\(answer)"
            )
        }
        #expect(heads.count == 0)
        // Without a user it is a request like any other.
        #expect(try plant.ask("strict.test", nil).contains("200 OK"))
        // What would become of a user is said beforehand.
        try plant.write("token", try plant.token("anna"))
        let explained = try plant.rig.explainUser("http://strict.test/x")
        #expect(
            explained.status == 0 && explained.output.contains("user        CN=anna,O=Plant"),
            "\(explained.output)"
        )
        #expect(explained.output.contains("SSL_CLIENT_CERT: MII"))
        try plant.rig.rewrite { $0.replacing("private-key: users-ca.key", with: "private-key: system.key") }
        let reload = try plant.rig.control("reload", "--config", "connector0.conf")
        #expect(reload.status != 0 && reload.output.contains("principal-propagation.ca"), "\(reload.output)")
        try await server.stop()
    }

    @Test("Keys are fetched from a URL; while it is gone, those of before count, also after a reload")
    func fetchedKeys() async throws {
        let plant = try Plant()
        defer { plant.rig.stop() }
        let heads = Heads()
        let server = try await plant.server(asks: true, heads)
        let keys = try String(contentsOf: plant.rig.folder.appending(path: "keys.json"), encoding: .utf8)
        let provider = TestServer.http { head, _ in
            head.hasPrefix("GET /keys?x=1 HTTP/1.1")
                ? TestServer.ok(keys) : "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        }
        let connector = try plant.rig.startConnector(
            systems: plant.system("strict.test", server.port, "authentication-mode: X509_RESTRICTED"),
            extra: Plant.settings.replacing(
                "keys: keys.json",
                with: "keys: \"http://localhost:\(provider.port)/keys?x=1\""
            )
        )
        try connector.wait(for: "keys of an identity provider fetched")
        #expect(try plant.ask("strict.test", try plant.token("anna")).contains("200 OK"))
        provider.stop()
        try plant.rig.rewrite { $0.replacing("O=Plant", with: "O=Other") }
        #expect(try plant.rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(try plant.ask("strict.test", try plant.token("anna")).contains("200 OK"))
        #expect(try plant.verifiedSubject(heads.last("SSL_CLIENT_CERT")[0]) == "subject=CN=anna,O=Other")
        // Beyond this machine, only https counts.
        try plant.rig.rewrite { $0.replacing("http://localhost:", with: "http://idp.test:") }
        #expect(try plant.rig.control("reload", "--config", "connector0.conf").output.contains("must be https"))
        try await server.stop()
    }
}
