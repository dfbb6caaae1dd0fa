internal import COpenSSL

/// A certificate authority of one's own: makes the certificates with which a connector and its service know each other.
///
/// A connector's certificate names its subaccount and location ID in a URI (`ConnectorIdentity`), so a connector can
/// never claim another's.
///
/// Certificate and key are made in `init` and only read from then on, which OpenSSL allows from several threads.
package final class CertificateIssuer: @unchecked Sendable {
    /// A certificate and its key, both PEM.
    package struct Identity: Sendable {
        package var certificate: String
        package var privateKey: String

        package init(certificate: String, privateKey: String) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    package enum Purpose: Sendable {
        /// For these DNS names or IP addresses.
        case server(names: [String])
        case connector(ConnectorIdentity)
    }

    package let authority: Identity
    private let certificate: OpaquePointer
    private let key: OpaquePointer

    /// An authority made before.
    package init(_ authority: Identity) throws(TLSError) {
        let certificates = try TLSContext.certificates(.pem(authority.certificate))
        defer { for certificate in certificates.dropFirst() { X509_free(certificate) } }
        guard let certificate = certificates.first else {
            throw TLSError(.configuration, "the authority's file holds no certificate")
        }
        let signingKey: SigningKey
        do throws(TLSError) {
            signingKey = try SigningKey(.pem(authority.privateKey))
        } catch {
            X509_free(certificate)
            throw error
        }
        // The object gives its key back when it goes, and that may be right after its last use.
        EVP_PKEY_up_ref(signingKey.key)
        self.key = signingKey.key
        withExtendedLifetime(signingKey) {}
        guard X509_check_private_key(certificate, key) == 1 else {
            X509_free(certificate)
            EVP_PKEY_free(key)
            ERR_clear_error()
            throw TLSError(.configuration, "the authority's key does not belong to its certificate")
        }
        self.certificate = certificate
        self.authority = authority
    }

    /// Makes a new authority.
    package init(commonName: String, days: Int) throws(TLSError) {
        guard let key = COpenSSL_EVP_EC_gen_p256() else { throw Self.failure() }
        self.key = key
        let certificate = try Self.make(
            commonName: commonName,
            seconds: days * 86400,
            key: key,
            issuer: nil,
            issuerKey: key,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ]
        )
        self.certificate = certificate
        self.authority = Identity(certificate: Self.pem(certificate: certificate), privateKey: Self.pem(key: key))
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    /// - Parameter days: from an hour ago on; negative for a certificate that has expired.
    package func issue(_ purpose: Purpose, commonName: String, days: Int) throws(TLSError) -> Identity {
        let key = try SigningKey()
        let certificate = try issue(purpose, commonName: commonName, key: key.key, seconds: days * 86400)
        return Identity(certificate: certificate, privateKey: key.pem)
    }

    /// Signs a connector's request (PKCS #10, PEM). Of the request only the key counts, and the proof that its sender
    /// has it; what the certificate says comes from the arguments.
    ///
    /// - Parameter seconds: how long the certificate is valid.
    package func sign(
        request: String,
        for identity: ConnectorIdentity,
        seconds: Int
    ) throws(TLSError) -> String {
        let bio = try TLSContext.open(.pem(request))
        defer { BIO_free(bio) }
        guard let request = PEM_read_bio_X509_REQ(bio, nil, nil, nil) else {
            ERR_clear_error()
            throw TLSError(.configuration, "the certificate request is not readable")
        }
        defer { X509_REQ_free(request) }
        guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1,
            EVP_PKEY_get_security_bits(key) >= 112
        else {
            ERR_clear_error()
            throw TLSError(.configuration, "the certificate request is not signed with a key that can be used")
        }
        return try issue(.connector(identity), commonName: "connector", key: key, seconds: seconds)
    }

    private func issue(
        _ purpose: Purpose,
        commonName: String,
        key: OpaquePointer,
        seconds: Int
    ) throws(TLSError) -> String {
        var extensions: [(Int32, String)] = [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        ]
        switch purpose {
        case .server(let names):
            let entries = names.map { Self.isAddress($0) ? "IP:\($0)" : "DNS:\($0)" }
            extensions += [
                (NID_ext_key_usage, "serverAuth"), (NID_subject_alt_name, entries.joined(separator: ",")),
            ]
        case .connector(let identity):
            extensions += [(NID_ext_key_usage, "clientAuth"), (NID_subject_alt_name, "URI:\(identity.uri)")]
        }
        let certificate = try Self.make(
            commonName: commonName,
            seconds: seconds,
            key: key,
            issuer: self.certificate,
            issuerKey: self.key,
            extensions: extensions
        )
        defer { X509_free(certificate) }
        return Self.pem(certificate: certificate)
    }

    private static func isAddress(_ name: String) -> Bool {
        let address = a2i_IPADDRESS(name)
        ASN1_OCTET_STRING_free(address)
        ERR_clear_error()
        return address != nil
    }

    private static func make(
        commonName: String,
        seconds: Int,
        key: OpaquePointer,
        issuer: OpaquePointer?,
        issuerKey: OpaquePointer,
        extensions: [(Int32, String)]
    ) throws(TLSError) -> OpaquePointer {
        guard let certificate = X509_new() else { throw failure() }
        X509_set_version(certificate, 2)
        var serial = try SecureRandom.octets(16)
        serial[0] &= 0x7F
        let number = BN_bin2bn(serial, Int32(serial.count), nil)
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate))
        BN_free(number)
        // An hour back, for peers whose clock is late; less for short lives.
        X509_gmtime_adj(
            X509_getm_notBefore(certificate),
            seconds > 0 ? -min(3600, seconds / 10) : seconds - 2 * 86400
        )
        X509_gmtime_adj(X509_getm_notAfter(certificate), seconds)
        X509_set_pubkey(certificate, key)
        let name = X509_get_subject_name(certificate)
        let isNamed = X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, commonName, -1, -1, 0)
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer ?? certificate))
        var isComplete = isNamed == 1
        for (nid, value) in extensions + [(NID_subject_key_identifier, "hash")] {
            var context = X509V3_CTX()
            COpenSSL_X509V3_set_ctx(&context, issuer ?? certificate, certificate)
            guard let item = X509V3_EXT_conf_nid(nil, &context, nid, value) else {
                isComplete = false
                continue
            }
            X509_add_ext(certificate, item, -1)
            X509_EXTENSION_free(item)
        }
        guard isComplete, X509_sign(certificate, issuerKey, EVP_sha256()) > 0 else {
            X509_free(certificate)
            throw failure()
        }
        return certificate
    }

    private static func failure() -> TLSError {
        TLSError(.configuration, "cannot make a certificate: \(TLSError.takeQueue().text)")
    }

    private static func pem(certificate: OpaquePointer) -> String {
        text { PEM_write_bio_X509($0, certificate) }
    }

    private static func pem(key: OpaquePointer) -> String {
        text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    static func text(_ write: (OpaquePointer?) -> Int32) -> String {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        _ = write(bio)
        return text(bio)
    }

    /// What was written to a memory BIO.
    static func text(_ bio: OpaquePointer?) -> String {
        var octets: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_BIO_get_mem_data(bio, &octets)
        guard let octets else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: octets, count: count), as: UTF8.self)
    }
}
