internal import COpenSSL

/// A certificate that a connector has of its own: for its page, for internal hosts.
package enum OwnCertificate {
    package typealias Identity = CertificateIssuer.Identity

    /// What is to stand in a certificate.
    package struct Wanted: Sendable {
        /// A distinguished name such as "CN=a,O=b,C=DE".
        package var subject: String
        /// Subject alternative names: type and value.
        package var alternatives: [(type: String, value: String)] = []
        /// Bits of an RSA key; nil for P-256.
        package var keySize: Int?

        package init(subject: String, alternatives: [(type: String, value: String)] = [], keySize: Int? = nil) {
            (self.subject, self.alternatives, self.keySize) = (subject, alternatives, keySize)
        }

        /// DNS names and IP addresses.
        package init(subject: String, names: [String]) {
            self.init(
                subject: subject,
                alternatives: names.map { (CertificateIssuer.isAddress($0) ? "IP" : "DNS", $0) }
            )
        }

        /// Types of alternative names, as SAP's product and OpenSSL call them.
        private static let kinds = ["DNS": "DNS", "IP": "IP", "RFC822": "email", "URI": "URI"]

        /// As OpenSSL wants them.
        fileprivate func extensionText() throws(TLSError) -> String {
            var parts: [String] = []
            for (type, value) in alternatives {
                guard let kind = Self.kinds[type.uppercased()], !value.isEmpty, !value.contains(","),
                    value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
                else {
                    throw TLSError(
                        .configuration,
                        "\"\(type): \(value)\" is not a name that can stand in a certificate; types are DNS, IP, RFC822, URI"
                    )
                }
                parts.append("\(kind):\(value)")
            }
            return parts.joined(separator: ",")
        }
    }

    private static let types = ["CN", "EMAIL", "L", "OU", "O", "ST", "C"]

    /// The parts of a name as a certificate has them: the widest first.
    private static func parts(_ name: String) throws(TLSError) -> [(type: String, value: String)] {
        var parts: [(type: String, value: String)] = []
        for part in name.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let type = pair[0].drop { $0 == " " }.uppercased()
            guard pair.count == 2, types.contains(type), !pair[1].contains(where: { $0 == "\\" || $0 == "=" }) else {
                throw TLSError(
                    .configuration,
                    "\"\(part)\" is not a part of a name; write CN=…,EMAIL=…,L=…,OU=…,O=…,ST=…,C=…, without \"=\" and \"\\\" in values"
                )
            }
            if !pair[1].isEmpty { parts.append((type == "EMAIL" ? "emailAddress" : type, String(pair[1]))) }
        }
        guard parts.contains(where: { $0.type == "CN" }) else {
            throw TLSError(.configuration, "the name has no CN")
        }
        return parts.reversed()
    }

    private static func key(_ wanted: Wanted) throws(TLSError) -> SigningKey {
        guard let bits = wanted.keySize else { return try SigningKey() }
        return try SigningKey.rsa(bits: bits)
    }

    /// Signs a certificate with its own key.
    ///
    /// - Parameter isAuthority: to sign others with it.
    package static func selfSigned(_ wanted: Wanted, days: Int, isAuthority: Bool = false) throws(TLSError) -> Identity
    {
        let subject = try parts(wanted.subject)
        let names = try wanted.extensionText()
        let key = try key(wanted)
        var extensions: [(Int32, String)] = [
            (NID_basic_constraints, isAuthority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"),
            (NID_key_usage, isAuthority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature,keyEncipherment"),
        ]
        if !isAuthority { extensions.append((NID_ext_key_usage, "serverAuth,clientAuth")) }
        if !names.isEmpty { extensions.append((NID_subject_alt_name, names)) }
        let certificate = try unsafe CertificateIssuer.make(
            subject: subject,
            seconds: days * 86400,
            key: key.key,
            issuer: nil,
            issuerKey: key.key,
            extensions: extensions
        )
        defer { unsafe X509_free(certificate) }
        return unsafe Identity(certificate: CertificateIssuer.pem(certificate: certificate), privateKey: key.pem)
    }

    /// A request for an authority to sign (PKCS #10, PEM), with its key.
    ///
    /// - Parameter isAuthority: it asks for the right to sign others.
    package static func request(
        _ wanted: Wanted,
        isAuthority: Bool = false
    ) throws(TLSError) -> (request: String, privateKey: String) {
        let subject = try parts(wanted.subject)
        let names = try wanted.extensionText()
        let key = try key(wanted)
        guard let request = unsafe X509_REQ_new() else { throw CertificateIssuer.failure() }
        defer { unsafe X509_REQ_free(request) }
        guard unsafe CertificateIssuer.fill(X509_REQ_get_subject_name(request), subject),
            unsafe X509_REQ_set_pubkey(request, key.key) == 1
        else { throw CertificateIssuer.failure() }
        let asked =
            names.isEmpty ? isAuthority ? (NID_key_usage, "critical,keyCertSign") : nil : (NID_subject_alt_name, names)
        if let (kind, text) = asked {
            guard let item = unsafe X509V3_EXT_conf_nid(nil, nil, kind, text) else {
                throw CertificateIssuer.failure()
            }
            defer { unsafe X509_EXTENSION_free(item) }
            guard unsafe COpenSSL_X509_REQ_add_extension(request, item) == 1 else { throw CertificateIssuer.failure() }
        }
        guard unsafe X509_REQ_sign(request, key.key, EVP_sha256()) > 0 else { throw CertificateIssuer.failure() }
        return (unsafe MemoryBIO.text { unsafe PEM_write_bio_X509_REQ($0, request) }, key.pem)
    }

    /// Certificate, further certificates and key out of a PKCS #12 file.
    package static func pkcs12(_ bytes: [UInt8], password: String) throws(TLSError) -> Identity {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        _ = unsafe BIO_write(bio, bytes, Int32(bytes.count))
        guard let file = unsafe d2i_PKCS12_bio(bio, nil) else {
            ERR_clear_error()
            throw TLSError(.configuration, "this is not a PKCS #12 file")
        }
        defer { unsafe PKCS12_free(file) }
        var key: OpaquePointer?
        var certificate: OpaquePointer?
        var further: OpaquePointer?
        let isRead = unsafe PKCS12_parse(file, password, &key, &certificate, &further)
        defer {
            unsafe EVP_PKEY_free(key)
            unsafe X509_free(certificate)
            unsafe COpenSSL_X509_chain_free(further)
            ERR_clear_error()
        }
        guard isRead == 1 else { throw TLSError(.configuration, "the password does not open the PKCS #12 file") }
        guard let own = unsafe certificate, let secret = unsafe key else {
            throw TLSError(.configuration, "the PKCS #12 file holds no certificate with its key")
        }
        var text = unsafe CertificateIssuer.pem(certificate: own)
        for index in unsafe 0..<max(COpenSSL_X509_chain_count(further), 0) {
            if let other = unsafe COpenSSL_X509_chain_get(further, index) {
                text += unsafe CertificateIssuer.pem(certificate: other)
            }
        }
        return Identity(
            certificate: text,
            privateKey: unsafe MemoryBIO.text { unsafe PEM_write_bio_PrivateKey($0, secret, nil, nil, 0, nil, nil) }
        )
    }
}
