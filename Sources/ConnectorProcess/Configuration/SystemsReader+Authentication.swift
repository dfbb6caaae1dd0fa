internal import AccessPolicy
internal import ConfigurationReading
internal import TextFormats
internal import TunnelCore

extension SystemsReader {
    /// How users arrive.
    func readAuthentication(
        _ section: inout Section,
        _ proto: SystemMapping.InternalProtocol?
    ) -> UserAuthentication {
        let mode =
            section.choice("authentication-mode", UserAuthentication.Mode.self) ?? .none
        if mode == .kerberos, let proto, !proto.isHTTP {
            findings.error(
                section.place("authentication-mode"),
                section.path("authentication-mode"),
                "KERBEROS is for HTTP and HTTPS systems"
            )
        } else if mode != .none, mode != .kerberos, let proto, proto != .https {
            findings.error(
                section.place("authentication-mode"),
                section.path("authentication-mode"),
                "\(mode.rawValue) is for HTTPS systems: a certificate in a field counts only where TLS shows who sends it"
            )
        }
        let form = section.choice("user-certificate-form", UserAuthentication.Form.self) ?? .base64DER
        let field = section.string("user-certificate-field")
        if let field, !Self.isField(field) {
            findings.error(
                section.place("user-certificate-field"),
                section.path("user-certificate-field"),
                "must be the name of a header that has no other meaning, such as SSL_CLIENT_CERT"
            )
        }
        let servicePrincipal = section.string("service-principal-name")
        if let servicePrincipal {
            checkServicePrincipal(servicePrincipal, mode, section)
        }
        return UserAuthentication(mode: mode, form: form, field: field, servicePrincipal: servicePrincipal)
    }

    private func checkServicePrincipal(_ name: String, _ mode: UserAuthentication.Mode, _ section: Section) {
        let (place, path) = (section.place("service-principal-name"), section.path("service-principal-name"))
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") }
        if !isPlain || parts.count < 2 || parts.contains(where: \.isEmpty) {
            findings.error(
                place,
                path,
                "must be a service and a host, without the realm, such as HTTP/erp.corp.example"
            )
        } else if mode != .kerberos {
            findings.warning(place, path, "has no meaning without authentication-mode: KERBEROS")
        }
    }

    /// Who the connector is to this internal host, where that is not the same as to others.
    func readClientCertificate(
        _ section: inout Section,
        _ proto: SystemMapping.InternalProtocol?
    ) -> SystemMapping.ClientCertificate? {
        guard let node = section.value("client-certificate") else { return nil }
        let key = section.path("client-certificate")
        let files = PropagationReader(findings: findings).pair(node, key)
        if let proto, !proto.isTLS {
            findings.error(node, key, "is for HTTPS and TCPS systems: without TLS nobody sees it")
        }
        return SystemMapping.ClientCertificate(certificate: files.certificate, privateKey: files.privateKey)
    }

    private static func isField(_ name: String) -> Bool {
        var name = name
        let known = name.withUTF8 { unsafe KnownField.identify(UnsafeRawBufferPointer($0)).field }
        return (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(isFieldByte)
            && (known == .other || known == .clientCertificate)
    }

    private static func isFieldByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
