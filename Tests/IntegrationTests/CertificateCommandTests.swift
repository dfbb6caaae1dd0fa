import ConnectorTestSupport
import Foundation
import Testing

/// `connectord certificate`: what is made, brought from elsewhere, and shown to those who run internal hosts. Judged by OpenSSL.
struct CertificateCommandTests {
    private let folder = TemporaryDirectory()
    private var url: URL { URL(filePath: folder.path) }

    private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Rig.run(["certificate"] + arguments, url)
    }

    private func openssl(_ arguments: String...) throws -> String {
        try Rig.run(URL(filePath: "/usr/bin/openssl"), arguments, url).output
    }

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: url.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func read(_ name: String) throws -> String {
        try String(contentsOf: url.appending(path: name), encoding: .utf8)
    }

    @Test(
        "The answer to a request comes to its place, with its chain; one that is not for its key, or may not sign, does not"
    )
    func answer() throws {
        #expect(try run("ca", "--subject", "CN=Users,O=Plant", "--request").status == 0)
        let company = try OpenSSLAuthority(url)
        try company.sign("user-ca.csr", "basicConstraints=critical,CA:FALSE\n")
        let refused = try run("ca", "--import", "answer.pem")
        #expect(refused.status != 0 && refused.output.contains("may not sign others"), "\(refused)")
        try company.sign("user-ca.csr", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        try write("chain.pem", try read("answer.pem") + read("root.pem"))
        let taken = try run("ca", "--import", "chain.pem")
        #expect(taken.status == 0 && taken.output.contains("wrote ./user-ca.pem"), "\(taken)")
        #expect(try read("user-ca.pem") == read("chain.pem"))
        let again = try run("ca", "--import", "chain.pem")
        #expect(again.status != 0 && again.output.contains("is there already"))
        // Somebody else's.
        #expect(try run("system", "--subject", "CN=Plant", "--request").status == 0)
        let other = try run("system", "--import", "answer.pem")
        #expect(other.status != 0, "\(other)")
        #expect(!FileManager.default.fileExists(atPath: url.appending(path: "system.pem").path))
    }

    @Test("A PKCS #12 file brings certificate, chain and key; a wrong password brings nothing")
    func pkcs12() throws {
        _ = try openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/O=Plant/CN=System",
            "-keyout",
            "own.key",
            "-out",
            "own.pem"
        )
        _ = try openssl(
            "pkcs12",
            "-export",
            "-in",
            "own.pem",
            "-inkey",
            "own.key",
            "-passout",
            "pass:secret",
            "-out",
            "own.p12"
        )
        try write("right", "secret\n")
        try write("wrong", "Secret\n")
        let refused = try run("system", "--import", "own.p12", "--password-file", "wrong")
        #expect(refused.status != 0 && refused.output.contains("the password does not open"), "\(refused)")
        #expect(!FileManager.default.fileExists(atPath: url.appending(path: "system.key").path))
        #expect(try run("system", "--import", "own.p12", "--password-file", "right").status == 0)
        #expect(try openssl("x509", "-in", "system.pem", "-noout", "-subject").contains("System"))
        let mode = try FileManager.default.attributesOfItem(atPath: url.appending(path: "system.key").path)
        #expect(mode[.posixPermissions] as? Int == 0o600)
        let unreadable = try run("ca", "--import", "right")
        #expect(unreadable.status != 0 && unreadable.output.contains("not a PKCS #12 file"), "\(unreadable)")
    }

    @Test("A sample is what a user will have, by the patterns of the configuration, and says what it lacks")
    func sample() throws {
        #expect(try run("ca", "--subject", "CN=Users,O=Plant").status == 0)
        #expect(try run("system", "--subject", "CN=System,O=Plant").status == 0)
        for file in ["user-ca", "system"] { try write("\(file).copy", try read("\(file).pem")) }
        try write(
            "connector.conf",
            """
            subaccount: test
            tunnel: {service: "localhost:1", certificate: system.pem, private-key: system.key, trusted-ca: user-ca.pem}
            system-certificate: {certificate: system.pem, private-key: system.key}
            principal-propagation:
              ca: {certificate: user-ca.pem, private-key: user-ca.key}
              trust: []
              subject-patterns:
                - {if: "${department} exists", subject: "CN=${name},OU=${department},O=Plant"}
                - {subject: "CN=${name},EMAIL=${mail},O=Plant"}
            systems: []
            """
        )
        let lacking = try run("sample", "--config", "connector.conf", "--claim", "name=jdoe")
        #expect(lacking.status != 0 && lacking.output.contains("pattern 2"), "\(lacking)")
        let made = try run(
            "sample",
            "--config",
            "connector.conf",
            "--claim",
            "name=jdoe",
            "--claim",
            "department=sales=south"
        )
        #expect(made.status == 0 && made.output.contains("pattern 1"), "\(made)")
        #expect(try openssl("verify", "-CAfile", "user-ca.pem", "sample-user.pem").contains("OK"))
        let subject = try openssl("x509", "-in", "sample-user.pem", "-noout", "-subject", "-nameopt", "RFC2253")
        #expect(subject.contains("CN=jdoe,OU=sales=south,O=Plant"), "\(subject)")
    }

    @Test(
        "What does not go together is said",
        arguments: [
            (["ca"], "--subject"), (["ca", "--subject", "CN=a", "--import", "b"], "--subject"),
            (["sample", "--subject", "CN=a"], "--claim"),
            (["system", "--subject", "CN=a", "--password-file", "x"], "--import"),
            (["sample", "--claim", "name"], "NAME=VALUE"), (["user", "--subject", "CN=a"], "sample"),
        ]
    )
    func together(_ arguments: [String], _ reason: String) throws {
        let result = try Rig.run(["certificate"] + arguments, url)
        #expect(result.status != 0 && result.output.contains(reason), "\(result)")
    }
}
