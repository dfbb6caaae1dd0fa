internal import Cryptography
internal import HostSystem
internal import TextFormats

/// Certificates by which internal hosts know the connector and its users.
extension ConnectorProgram {
    package enum CertificateKind: String, CaseIterable, Sendable {
        /// Signs the certificates of users.
        case ca
        /// Shows internal hosts that the connector may speak for users.
        case system
    }

    /// Makes a key, and a certificate signed with it or a request for one. What is there already is left alone.
    ///
    /// - Parameters:
    ///   - subject: such as "CN=Plant 4 Users,O=Company,C=DE".
    ///   - keySize: bits of an RSA key.
    /// - Returns: what was written, and what to do with it.
    package static func makeCertificate(
        _ kind: CertificateKind,
        subject: String,
        directory: String,
        days: Int,
        keySize: Int,
        isRequest: Bool
    ) throws -> [String] {
        let base = "\(directory)/\(kind == .ca ? "user-ca" : "system")"
        let (keyFile, certificateFile) = ("\(base).key", isRequest ? "\(base).csr" : "\(base).pem")
        for file in [keyFile, certificateFile] where PlainFile.isThere(file) {
            throw TLSError(
                .configuration,
                "\(file) is there already; move it away first, or choose another --directory"
            )
        }
        let wanted = OwnCertificate.Wanted(subject: subject, keySize: keySize)
        let (text, key): (String, String)
        if isRequest {
            (text, key) = try OwnCertificate.request(wanted, isAuthority: kind == .ca)
        } else {
            let made = try OwnCertificate.selfSigned(wanted, days: days, isAuthority: kind == .ca)
            (text, key) = (made.certificate, made.privateKey)
        }
        try AtomicFile.write(key, to: keyFile, mode: 0o600)
        try AtomicFile.write(text, to: certificateFile, mode: 0o644)
        let files = "{certificate: \(base).pem, private-key: \(keyFile)}"
        let section = kind == .ca ? "principal-propagation:\n  ca: \(files)" : "system-certificate: \(files)"
        let next =
            isRequest
            ? "let your authority sign \(certificateFile), put the certificate and its chain into \(base).pem, then in connector.conf:"
            : "in connector.conf:"
        return ["wrote \(keyFile) and \(certificateFile)", next, section]
    }
}
