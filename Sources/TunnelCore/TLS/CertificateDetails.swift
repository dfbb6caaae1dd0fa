internal import COpenSSL

/// What a certificate says, as far as this project asks.
package struct CertificateDetails: Sendable, Equatable {
    /// Hexadecimal, upper case.
    package var serial: String
    /// One line, as in "CN = connector".
    package var subject: String
    package var issuer: String
    /// Seconds since 1970.
    package var notBefore: Int
    package var notAfter: Int
    /// The URIs among the subject alternative names, in order; a connector's identity is one of them.
    package var uris: [String]
    /// SHA-256 of the DER form, hexadecimal, lower case.
    package var fingerprint: String

    /// The connector that this certificate was made for.
    package var connector: ConnectorIdentity? { uris.lazy.compactMap { ConnectorIdentity(uri: $0) }.first }

    /// The first certificate of a PEM source.
    package init(_ source: TLSConfiguration.Source) throws(TLSError) {
        guard let first = try Self.all(source).first else {
            throw TLSError(.configuration, "\(TLSContext.name(source)) holds no certificate")
        }
        self = first
    }

    /// All certificates of a PEM source, in order.
    package static func all(_ source: TLSConfiguration.Source) throws(TLSError) -> [CertificateDetails] {
        let certificates = try TLSContext.certificates(source)
        defer { for certificate in certificates { X509_free(certificate) } }
        return certificates.map { CertificateDetails($0) }
    }

    init(_ certificate: OpaquePointer) {
        serial = Self.serial(certificate)
        subject = Self.name(X509_get_subject_name(certificate))
        issuer = Self.name(X509_get_issuer_name(certificate))
        notBefore = Self.seconds(X509_get0_notBefore(certificate))
        notAfter = Self.seconds(X509_get0_notAfter(certificate))
        uris = Self.uris(certificate)
        fingerprint = Self.fingerprint(certificate)
    }

    private static func serial(_ certificate: OpaquePointer) -> String {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return "" }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { COpenSSL_OPENSSL_free(text) }
        return String(cString: text)
    }

    private static func name(_ name: OpaquePointer?) -> String {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        COpenSSL_X509_NAME_print_oneline(bio, name)
        return CertificateIssuer.text(bio)
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int {
        let epoch = ASN1_TIME_set(nil, 0)
        defer { ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        ASN1_TIME_diff(&days, &seconds, epoch, time)
        return Int(days) * 86400 + Int(seconds)
    }

    private static func uris(_ certificate: OpaquePointer) -> [String] {
        guard let data = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(data)
        defer { GENERAL_NAMES_free(names) }
        return (0..<COpenSSL_GENERAL_NAMES_count(names)).compactMap { index in
            var octets: UnsafePointer<UInt8>?
            let length = COpenSSL_GENERAL_NAMES_uri(names, index, &octets)
            guard length >= 0, let octets else { return nil }
            return String(decoding: UnsafeBufferPointer(start: octets, count: Int(length)), as: UTF8.self)
        }
    }

    static func fingerprint(_ certificate: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        X509_digest(certificate, EVP_sha256(), &digest, nil)
        return Hexadecimal.text(digest)
    }
}
