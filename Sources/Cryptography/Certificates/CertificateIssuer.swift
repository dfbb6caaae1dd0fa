internal import COpenSSL

/// A certificate authority of one's own: makes the certificates with which a connector and its service know each other.
///
/// A connector's certificate names its subaccount and location ID in a URI (`ConnectorIdentity`), so a connector can
/// never claim another's.
///
/// Certificate and key are made in `init` and only read from then on, which OpenSSL allows from several threads.
@safe package final class CertificateIssuer: @unchecked Sendable {
    /// A certificate and its key, both PEM.
    package struct Identity: Sendable {
        package var certificate: String
        package var privateKey: String

        package init(certificate: String, privateKey: String) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    /// What a certificate is for.
    package enum Purpose: Sendable {
        /// For these DNS names or IP addresses.
        case server(names: [String])
        case connector(ConnectorIdentity, instance: InstanceName? = nil)
        /// For one service among others, which both dials and is dialled.
        case service(InstanceName)
    }

    package let authority: Identity
    private let certificate: OpaquePointer
    private let key: OpaquePointer

    /// An authority made before.
    package init(_ authority: Identity) throws(TLSError) {
        let certificates = try unsafe PEMSource.pem(authority.certificate).certificates()
        defer { unsafe certificates.dropFirst().forEach { unsafe X509_free($0) } }
        guard let certificate = unsafe certificates.first else {
            throw TLSError(.configuration, "the authority's file holds no certificate")
        }
        let signingKey: SigningKey
        do throws(TLSError) {
            signingKey = try SigningKey(.pem(authority.privateKey))
        } catch {
            unsafe X509_free(certificate)
            throw error
        }
        // The object gives its key back when it goes, and that may be right after its last use.
        unsafe EVP_PKEY_up_ref(signingKey.key)
        unsafe self.key = unsafe signingKey.key
        withExtendedLifetime(signingKey) {}
        guard unsafe X509_check_private_key(certificate, key) == 1 else {
            unsafe X509_free(certificate)
            unsafe EVP_PKEY_free(key)
            ERR_clear_error()
            throw TLSError(.configuration, "the authority's key does not belong to its certificate")
        }
        unsafe self.certificate = unsafe certificate
        self.authority = authority
    }

    /// Makes a new authority.
    package init(commonName: String, days: Int) throws(TLSError) {
        guard let key = unsafe COpenSSL_EVP_EC_gen_p256() else { throw Self.failure() }
        unsafe self.key = unsafe key
        let certificate = try unsafe Self.make(
            subject: [("CN", commonName)],
            seconds: days * 86400,
            key: key,
            issuer: nil,
            issuerKey: key,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ]
        )
        unsafe self.certificate = unsafe certificate
        self.authority = unsafe Identity(
            certificate: Self.pem(certificate: certificate),
            privateKey: Self.pem(key: key)
        )
    }

    deinit {
        unsafe X509_free(certificate)
        unsafe EVP_PKEY_free(key)
    }

    /// Whether it is one by its certificate (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
    package var maySign: Bool {
        // Of a certificate without the extension, every use is allowed.
        unsafe X509_check_ca(certificate) == 1 && X509_get_key_usage(certificate) & UInt32(KU_KEY_CERT_SIGN) != 0
    }

    /// - Parameter days: from an hour ago on; negative for a certificate that has expired.
    package func issue(_ purpose: Purpose, commonName: String, days: Int) throws(TLSError) -> Identity {
        let key = try SigningKey()
        let certificate = try unsafe issue(purpose, commonName: commonName, key: key.key, seconds: days * 86400)
        return Identity(certificate: certificate, privateKey: key.pem)
    }

    /// Signs a connector's request (PKCS #10, PEM). Of the request only the key counts, and the proof that its sender
    /// has it; what the certificate says comes from the arguments.
    ///
    /// - Parameter seconds: how long the certificate is valid.
    package func sign(
        request: String,
        for identity: ConnectorIdentity,
        instance: InstanceName? = nil,
        seconds: Int
    ) throws(TLSError) -> String {
        let bio = try unsafe PEMSource.pem(request).open()
        defer { unsafe BIO_free(bio) }
        guard let request = unsafe PEM_read_bio_X509_REQ(bio, nil, nil, nil) else {
            ERR_clear_error()
            throw TLSError(.configuration, "the certificate request is not readable")
        }
        defer { unsafe X509_REQ_free(request) }
        guard let key = unsafe X509_REQ_get0_pubkey(request), unsafe X509_REQ_verify(request, key) == 1,
            unsafe EVP_PKEY_get_security_bits(key) >= 112
        else {
            ERR_clear_error()
            throw TLSError(.configuration, "the certificate request is not signed with a key that can be used")
        }
        let purpose = Purpose.connector(identity, instance: instance)
        return try unsafe issue(purpose, commonName: "connector", key: key, seconds: seconds)
    }

    /// Makes a certificate of a user, to be shown in a field. Nobody has to prove that its key is his.
    ///
    /// - Parameters:
    ///   - subject: types as OpenSSL has them, with their values, the widest first.
    ///   - seconds: of its validity.
    /// - Returns: the certificate in DER, and its serial number in hexadecimal.
    package func issueUser(
        _ subject: [(type: String, value: String)],
        seconds: Int,
        key: SigningKey
    ) throws(TLSError) -> (der: [UInt8], serialNumber: String) {
        let certificate = try unsafe Self.make(
            subject: subject,
            seconds: seconds,
            key: key.key,
            issuer: self.certificate,
            issuerKey: self.key,
            extensions: [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
                (NID_ext_key_usage, "clientAuth"), (NID_authority_key_identifier, "keyid"),
            ]
        )
        defer { unsafe X509_free(certificate) }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe i2d_X509(certificate, &bytes)
        guard count > 0, let start = unsafe bytes else { throw Self.failure() }
        defer { unsafe COpenSSL_OPENSSL_free(start) }
        return unsafe (
            Array(UnsafeBufferPointer(start: start, count: Int(count))), CertificateDetails(certificate).serial
        )
    }

    private func issue(
        _ purpose: Purpose,
        commonName: String,
        key: OpaquePointer,
        seconds: Int
    ) throws(TLSError) -> String {
        var extensions: [(Int32, String)] = [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
            // Which of several authorities of one name has signed it.
            (NID_authority_key_identifier, "keyid"),
        ]
        switch purpose {
        case .server(let names):
            let entries = names.map { Self.isAddress($0) ? "IP:\($0)" : "DNS:\($0)" }
            extensions += [
                (NID_ext_key_usage, "serverAuth"), (NID_subject_alt_name, entries.joined(separator: ",")),
            ]
        case .connector(let identity, let instance):
            let uris = [identity.uri] + (instance.map { [$0.uri] } ?? [])
            let names = uris.map { "URI:\($0)" }.joined(separator: ",")
            extensions += [(NID_ext_key_usage, "clientAuth"), (NID_subject_alt_name, names)]
        case .service(let name):
            extensions += [
                (NID_ext_key_usage, "clientAuth,serverAuth"), (NID_subject_alt_name, "URI:\(name.serviceURI)"),
            ]
        }
        let certificate = try unsafe Self.make(
            subject: [("CN", commonName)],
            seconds: seconds,
            key: key,
            issuer: self.certificate,
            issuerKey: self.key,
            extensions: extensions
        )
        defer { unsafe X509_free(certificate) }
        return unsafe Self.pem(certificate: certificate)
    }

    static func isAddress(_ name: String) -> Bool {
        let address = unsafe a2i_IPADDRESS(name)
        unsafe ASN1_OCTET_STRING_free(address)
        ERR_clear_error()
        return unsafe address != nil
    }

    /// - Parameter subject: types as OpenSSL has them, with their values, in the order of the certificate.
    static func make(
        subject: [(type: String, value: String)],
        seconds: Int,
        key: OpaquePointer,
        issuer: OpaquePointer?,
        issuerKey: OpaquePointer,
        extensions: [(Int32, String)]
    ) throws(TLSError) -> OpaquePointer {
        guard let certificate = unsafe X509_new() else { throw failure() }
        unsafe X509_set_version(certificate, 2)
        var serial = try SecureRandom.bytes(16)
        serial[0] &= 0x7F
        let number = unsafe BN_bin2bn(serial, Int32(serial.count), nil)
        unsafe BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate))
        unsafe BN_free(number)
        // An hour back, for peers whose clock is late; less for short lives.
        unsafe X509_gmtime_adj(
            X509_getm_notBefore(certificate),
            seconds > 0 ? -min(3600, seconds / 10) : seconds - 2 * 86400
        )
        unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), seconds)
        unsafe X509_set_pubkey(certificate, key)
        let name = unsafe X509_get_subject_name(certificate)
        let isNamed = unsafe fill(name, subject)
        unsafe X509_set_issuer_name(certificate, X509_get_subject_name(issuer ?? certificate))
        var isComplete = isNamed
        for (nid, value) in extensions + [(NID_subject_key_identifier, "hash")] {
            var context = unsafe X509V3_CTX()
            unsafe COpenSSL_X509V3_set_ctx(&context, issuer ?? certificate, certificate)
            guard let item = unsafe X509V3_EXT_conf_nid(nil, &context, nid, value) else {
                isComplete = false
                continue
            }
            unsafe X509_add_ext(certificate, item, -1)
            unsafe X509_EXTENSION_free(item)
        }
        guard isComplete, unsafe X509_sign(certificate, issuerKey, EVP_sha256()) > 0 else {
            unsafe X509_free(certificate)
            throw failure()
        }
        return unsafe certificate
    }

    static func fill(_ name: OpaquePointer?, _ subject: [(type: String, value: String)]) -> Bool {
        subject.allSatisfy { part in
            unsafe X509_NAME_add_entry_by_txt(name, part.type, MBSTRING_UTF8, part.value, -1, -1, 0) == 1
        }
    }

    static func failure() -> TLSError {
        TLSError(.configuration, "cannot make a certificate: \(TLSError.takeQueue().text)")
    }

    static func pem(certificate: OpaquePointer) -> String {
        unsafe MemoryBIO.text { unsafe PEM_write_bio_X509($0, certificate) }
    }

    private static func pem(key: OpaquePointer) -> String {
        unsafe MemoryBIO.text { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }
}
