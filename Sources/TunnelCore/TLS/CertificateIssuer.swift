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
    }

    package enum Purpose: Sendable {
        /// For these DNS names or IP addresses.
        case server(names: [String])
        case connector(ConnectorIdentity)
    }

    package let authority: Identity
    private let certificate: OpaquePointer
    private let key: OpaquePointer

    /// Makes a new authority.
    package init(commonName: String, days: Int) throws(TLSError) {
        guard let key = COpenSSL_EVP_EC_gen_p256() else { throw Self.failure() }
        self.key = key
        let certificate = try Self.make(
            commonName: commonName,
            days: days,
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
        guard let key = COpenSSL_EVP_EC_gen_p256() else { throw Self.failure() }
        defer { EVP_PKEY_free(key) }
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
            days: days,
            key: key,
            issuer: self.certificate,
            issuerKey: self.key,
            extensions: extensions
        )
        defer { X509_free(certificate) }
        return Identity(certificate: Self.pem(certificate: certificate), privateKey: Self.pem(key: key))
    }

    private static func isAddress(_ name: String) -> Bool {
        let address = a2i_IPADDRESS(name)
        ASN1_OCTET_STRING_free(address)
        ERR_clear_error()
        return address != nil
    }

    private static func make(
        commonName: String,
        days: Int,
        key: OpaquePointer,
        issuer: OpaquePointer?,
        issuerKey: OpaquePointer,
        extensions: [(Int32, String)]
    ) throws(TLSError) -> OpaquePointer {
        guard let certificate = X509_new() else { throw failure() }
        X509_set_version(certificate, 2)
        var serial = [UInt8](repeating: 0, count: 16)
        for index in serial.indices { serial[index] = .random(in: 0 ... .max) }
        serial[0] &= 0x7F
        let number = BN_bin2bn(serial, Int32(serial.count), nil)
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate))
        BN_free(number)
        let day = 86400
        // An hour back, for peers whose clock is late.
        X509_gmtime_adj(X509_getm_notBefore(certificate), days > 0 ? -3600 : (days - 2) * day)
        X509_gmtime_adj(X509_getm_notAfter(certificate), days * day)
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

    private static func text(_ write: (OpaquePointer?) -> Int32) -> String {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        _ = write(bio)
        var octets: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_BIO_get_mem_data(bio, &octets)
        guard let octets else { return "" }
        return String(
            decoding: UnsafeRawBufferPointer(start: octets, count: count),
            as: UTF8.self
        )
    }
}
