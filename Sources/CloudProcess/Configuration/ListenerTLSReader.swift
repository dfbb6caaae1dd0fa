internal import ConfigurationReading
internal import Cryptography
internal import Networking
internal import YAMLDocument

extension Section {
    /// `tls` of a listener.
    mutating func listenerTLS() -> ListenerTLS? {
        guard let node = value("tls") else { return nil }
        var section = Section(node, path("tls"), findings)
        var tls = ListenerTLS()
        for (name, target, isNeeded) in [
            ("certificate", \ListenerTLS.certificate, true), ("private-key", \.privateKey, true),
            ("client-ca", \.clientCA, false),
        ] as [(String, WritableKeyPath<ListenerTLS, String>, Bool)] {
            let text = isNeeded ? section.required(name, "a PEM file") : section.string(name)
            guard let file = text.map({ Credential.path($0, of: .cloud) }) else { continue }
            ConfigurationFile.checkReadable(file, section.place(name), section.path(name), findings)
            tls[keyPath: target] = file
        }
        if let version = section.choice("minimum-tls", TLSConfiguration.Version.self) {
            tls.minimumVersion = version
            if version == .tls10 || version == .tls11 {
                findings.warning(
                    section.place("minimum-tls"),
                    section.path("minimum-tls"),
                    "is abolished (RFC 8996): set it only as long as a program can do no better"
                )
            }
        }
        section.finish()
        tls.takeDigest()
        return tls
    }
}
