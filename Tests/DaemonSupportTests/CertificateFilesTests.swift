import ConfigurationReading
import ConnectorTestSupport
import Cryptography
import Foundation
import Testing

@testable import DaemonSupport

/// What a start would refuse in the files that a configuration names, each at its line.
final class CertificateFilesTests {
    private static let issuer = (try? CertificateIssuer(commonName: "Test CA", days: 2))!
    private let folder = TemporaryDirectory()
    private let configuration: String

    init() throws {
        configuration = "\(folder.path)/f.conf"
        try "subaccount: s\ntunnel:\n  certificate: a\n  private-key: b\n  trusted-ca: c\n"
            .write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    private func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        let path = "\(folder.path)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func pair(_ name: String = "own") throws -> (certificate: String, key: String) {
        let identity = try Self.issuer.issue(.server(names: [name]), commonName: name, days: 1)
        return (try write("\(name).pem", identity.certificate), try write("\(name).key", identity.privateKey))
    }

    private func findings(_ certificate: String, _ key: String) -> [Finding] {
        var files = CertificateFiles(file: configuration)
        files.checkIdentity(certificate, key, below: "tunnel")
        return files.findings
    }

    @Test("A pair that fits has no finding, and its certificate is handed back")
    func whole() throws {
        let (certificate, key) = try pair()
        var files = CertificateFiles(file: configuration)
        #expect(files.checkIdentity(certificate, key, below: "tunnel")?.names == ["own"])
        #expect(files.findings.isEmpty)
    }

    @Test("Certificate and key that are exchanged are said to be")
    func exchanged() throws {
        let (certificate, key) = try pair()
        let found = findings(key, certificate)
        #expect(found.first?.line == 3 && found.first?.key == "tunnel.certificate" && found.first?.severity == .error)
        #expect(found.first?.message.hasSuffix("are certificate and private-key exchanged?") == true)
    }

    @Test("A key that belongs to another certificate is an error at the key's line")
    func foreign() throws {
        let found = findings(try pair().certificate, try pair("other").key)
        #expect(found.map(\.line) == [4] && found[0].severity == .error)
    }

    @Test(
        "What is not PEM is an error",
        arguments: ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    func notPEM(_ text: String) throws {
        let (certificate, key) = try pair()
        let file = try write("bad.pem", text)
        #expect(findings(file, key).contains { $0.line == 3 && $0.severity == .error })
        #expect(findings(certificate, file).contains { $0.line == 4 && $0.severity == .error })
        var files = CertificateFiles(file: configuration)
        files.checkTrust([file], "tunnel.trusted-ca")
        #expect(files.findings.map(\.line) == [5])
    }

    @Test(
        "A key that everybody may open is a warning; one that a group may open is not",
        arguments: [
            (0o600, false), (0o640, false), (0o644, true), (0o602, true),
        ]
    )
    func mode(_ mode: Int, _ isOdd: Bool) throws {
        let (certificate, key) = try pair()
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: key)
        let found = findings(certificate, key)
        #expect(found.isEmpty != isOdd)
        if isOdd { #expect(found[0].severity == .warning && found[0].message.contains("chmod o-rwx \(key)")) }
    }

    @Test("What cannot be read here says nothing: a file may be checked on another machine")
    func elsewhere() {
        #expect(findings("/nowhere/a.pem", "/nowhere/a.key").isEmpty)
        var files = CertificateFiles(file: configuration)
        files.checkTrust(["/nowhere/ca.pem"], "tunnel.trusted-ca")
        #expect(files.findings.isEmpty)
    }
}
