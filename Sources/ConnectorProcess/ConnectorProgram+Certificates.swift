internal import CloudConnector
package import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import PrincipalPropagation
internal import TextFormats

/// Certificates by which internal hosts know the connector and its users.
extension ConnectorProgram {
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
        let next =
            isRequest
            ? "let your authority sign \(certificateFile), and bring its answer with --import, then in connector.conf:"
            : "in connector.conf:"
        return ["wrote \(keyFile) and \(certificateFile)", next, section(kind, base)]
    }

    private static func section(_ kind: CertificateKind, _ base: String) -> String {
        let files = "{certificate: \(base).pem, private-key: \(base).key}"
        return kind == .ca ? "principal-propagation:\n  ca: \(files)" : "system-certificate: \(files)"
    }

    /// Brings a certificate from elsewhere to its place: the answer to a request that was made before, with its chain (PEM), or a
    /// PKCS #12 file with its key.
    ///
    /// - Parameter password: of the PKCS #12 file.
    /// - Returns: what was written, and what to do with it.
    package static func importCertificate(
        _ kind: CertificateKind,
        _ file: String,
        password: String,
        directory: String
    ) throws -> [String] {
        let base = "\(directory)/\(kind == .ca ? "user-ca" : "system")"
        let (keyFile, certificateFile) = ("\(base).key", "\(base).pem")
        guard !PlainFile.isThere(certificateFile) else { throw isThere(certificateFile) }
        let bytes = try PlainFile.read(file, maxBytes: PrivateFile.maxBytes)
        let identity: CertificateIssuer.Identity
        var isKeyNew = false
        if String(decoding: bytes, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") {
            guard PlainFile.isThere(keyFile) else {
                throw TLSError(
                    .configuration,
                    "\(keyFile) is not there: make the key with --request first, or bring a PKCS #12 file, which has one"
                )
            }
            let key = try PlainFile.read(keyFile, maxBytes: PrivateFile.maxBytes)
            identity = .init(
                certificate: String(decoding: bytes, as: UTF8.self),
                privateKey: String(decoding: key, as: UTF8.self)
            )
        } else {
            guard !PlainFile.isThere(keyFile) else { throw isThere(keyFile) }
            identity = try OwnCertificate.pkcs12(bytes, password: password)
            isKeyNew = true
        }
        try kind.check(identity)
        if isKeyNew { try AtomicFile.write(identity.privateKey, to: keyFile, mode: 0o600) }
        try AtomicFile.write(identity.certificate, to: certificateFile, mode: 0o644)
        let wrote = isKeyNew ? "wrote \(keyFile) and \(certificateFile)" : "wrote \(certificateFile)"
        return [wrote, "in connector.conf:", section(kind, base)]
    }

    private static func isThere(_ file: String) -> TLSError {
        TLSError(.configuration, "\(file) is there already; move it away first, or choose another --directory")
    }

    /// Makes a certificate as users will have it, for the rules of internal hosts, such as ABAP's CERTRULE.
    ///
    /// - Parameters:
    ///   - file: the connector's configuration.
    ///   - claims: as a token would have them, with their values; `name` stands for `user_name`.
    package static func sampleCertificate(
        _ file: String,
        claims: [(name: String, value: String)],
        directory: String,
        warn: ([Finding]) -> Void
    ) throws -> [String] {
        let files = try ConnectorFiles.load(file)
        warn(files.warnings)
        guard let configuration = files.connectors.first(where: { $0.propagation != nil }),
            let users = try configuration.loadPropagation()
        else { throw TLSError(.configuration, "\(file) has no section principal-propagation") }
        let target = "\(directory)/sample-user.pem"
        guard !PlainFile.isThere(target) else { throw isThere(target) }
        do throws(PropagationError) {
            let outcome = try users.sample(claims, now: WallClock.seconds())
            let pattern = configuration.propagation?.patterns[outcome.rule - 1].text ?? ""
            let lines = [
                "pattern \(outcome.rule): \(pattern)",
                "subject: \(LogText.escaped(outcome.certificate.subject.utf8))", "wrote \(target)",
            ]
            do { try AtomicFile.write(outcome.certificate.pem, to: target, mode: 0o644) } catch {
                throw .cannotSign("\(error)")
            }
            return lines
        } catch {
            throw TLSError(.configuration, "no sample: \(error.cause); give values with --claim NAME=VALUE")
        }
    }
}
