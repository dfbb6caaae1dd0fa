import ConfigurationEditing
import Testing

@testable import ConnectorProcess

struct BackupArchiveTests {
    @Test("Every file that a configuration names is in a backup, and keys are secrets, whatever section names them")
    func named() throws {
        let text = """
            tunnel:
              certificate: a.pem
              private-key: a.key
              trusted-ca: a-ca.pem
              http-proxy: {address: "p:1", user: u, password-file: b.password}
            backend-trust: {certificates: [c.pem, d.der]}
            system-certificate: {certificate: e.pem, private-key: e.key}
            principal-propagation:
              ca: {certificate: f.pem, private-key: f.key}
              trusted-ca: f-ca.pem
              trust: [{issuer: i, keys: g.json}, {issuer: j, keys: "https://idp.test/keys"}]
            kerberos: {realm: R, user-name: u, keytab: h.keytab}
            systems:
              - {virtual-host: "v:1", client-certificate: {certificate: k.pem, private-key: k.key}, user-certificate-form: pem}
            """
        let found = BackupArchive.named(try YAMLText(Array(text.utf8)).value)
        #expect(
            found.filter { !$0.isSecret }.map(\.path)
                == ["a.pem", "a-ca.pem", "c.pem", "d.der", "e.pem", "f.pem", "f-ca.pem", "g.json", "k.pem"]
        )
        #expect(
            found.filter(\.isSecret).map(\.path) == ["a.key", "b.password", "e.key", "f.key", "h.keytab", "k.key"]
        )
    }
}
