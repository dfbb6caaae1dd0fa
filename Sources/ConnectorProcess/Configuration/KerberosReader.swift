internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import Kerberos
internal import Networking
internal import TextFormats
internal import YAMLDocument

/// Reads `kerberos`.
struct KerberosReader {
    let findings: Findings

    /// - Returns: nil where it is wrong; the findings say why.
    func read(_ node: YAMLNode) -> KerberosConfiguration? {
        var section = Section(node, "kerberos", findings)
        let realm = section.required("realm", "such as CORP.EXAMPLE.COM")
        let userName = section.required("user-name", "the connector's own user, which may delegate")
        let keytab = section.required("keytab", "a file with the keys of that user").map { Credential.path($0) }
        let hosts = section.list("kdc-hosts").enumerated().compactMap { host($1, "kerberos.kdc-hosts[\($0)]") }
        let isRealm = realm.map(KerberosConfiguration.isRealm) ?? true
        if !isRealm {
            findings.error(section.place("realm"), "kerberos.realm", "is no name of a realm, such as CORP.EXAMPLE.COM")
        }
        let isUser = userName.map { !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: "@")) } ?? true
        if !isUser { findings.error(section.place("user-name"), "kerberos.user-name", "must stand without its realm") }
        section.finish()
        guard let realm, let userName, let keytab, isRealm, isUser else { return nil }
        let configuration = KerberosConfiguration(
            realm: realm,
            kdcHosts: hosts,
            userName: userName,
            keytab: keytab,
            digest: FileDigest.of([keytab])
        )
        checkKeytab(configuration, section)
        return configuration
    }

    private func host(_ node: YAMLNode, _ key: String) -> String? {
        guard case .scalar(let text, _) = node.content, let parsed = HostPort.parse(text),
            HostPort.isHostName(parsed.host) || AddressRange(parsed.host) != nil,
            (1...65535).contains(parsed.port ?? 88)
        else {
            findings.error(node, key, "must be a host, or host:port, such as kdc.corp.example.com")
            return nil
        }
        return text
    }

    private func checkKeytab(_ configuration: KerberosConfiguration, _ section: Section) {
        let place = section.place("keytab")
        ConfigurationFile.checkReadable(configuration.keytab, place, "kerberos.keytab", findings)
        guard (try? PlainFile.read(configuration.keytab, maxBytes: PrivateFile.maxBytes)) != nil else { return }
        do throws(KerberosError) { try configuration.checkKeytab() } catch {
            findings.error(
                place,
                "kerberos.keytab",
                "\(configuration.keytab) has no keys of \(configuration.userName)@\(configuration.realm): \(error.cause)"
            )
        }
    }
}
