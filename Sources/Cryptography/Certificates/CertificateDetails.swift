internal import COpenSSL
internal import TextFormats

/// What a certificate says, as far as this project asks.
package struct CertificateDetails: Sendable, Equatable {
    /// Hexadecimal, upper case.
    package var serial: String
    /// One line, as in "CN = connector".
    package var subject: String
    package var issuer: String
    /// As in "CN=connector,O=Example" (RFC 2253), with `EMAIL` for addresses, as SAP's product writes names.
    package var subjectDN: String
    package var issuerDN: String
    /// Seconds since 1970.
    package var notBefore: Int
    package var notAfter: Int
    /// The DNS names and IP addresses among the subject alternative names, in order.
    package var names: [String]
    /// The mail addresses among them, in order.
    package var mailAddresses: [String]
    /// The URIs among the subject alternative names, in order; a connector's identity is one of them.
    package var uris: [String]
    /// SHA-256 of the DER form, hexadecimal, lower case.
    package var fingerprint: String

    /// The connector that this certificate was made for.
    package var connector: ConnectorIdentity? { uris.lazy.compactMap { ConnectorIdentity(uri: $0) }.first }

    /// Which of the connectors that serve side by side; nil for one that shares with nobody.
    package var instance: InstanceName? { uris.lazy.compactMap { InstanceName(uri: $0) }.first }

    /// The service that this certificate was made for, among others of one store.
    package var service: InstanceName? { uris.lazy.compactMap { InstanceName(serviceURI: $0) }.first }

    /// The first certificate of a PEM source.
    package init(_ source: PEMSource) throws(TLSError) {
        guard let first = try Self.all(source).first else {
            throw TLSError(.configuration, "\(source.name) holds no certificate")
        }
        self = first
    }

    /// The first certificate of a PEM source in DER (RFC 5280).
    package static func der(_ source: PEMSource) throws(TLSError) -> [UInt8] {
        let certificates = try unsafe source.certificates()
        defer { unsafe certificates.forEach { unsafe X509_free($0) } }
        guard let first = unsafe certificates.first else {
            throw TLSError(.configuration, "\(source.name) holds no certificate")
        }
        let count = unsafe i2d_X509(first, nil)
        var bytes = [UInt8](repeating: 0, count: Int(max(count, 0)))
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            var position = buffer.baseAddress
            _ = unsafe i2d_X509(first, &position)
        }
        return bytes
    }

    /// Each certificate of a PEM source as PEM, in order.
    package static func separate(_ source: PEMSource) throws(TLSError) -> [String] {
        let certificates = try unsafe source.certificates()
        defer { unsafe certificates.forEach { unsafe X509_free($0) } }
        return unsafe certificates.map { certificate in
            unsafe MemoryBIO.text { unsafe PEM_write_bio_X509($0, certificate) }
        }
    }

    /// All certificates of a PEM source, in order.
    package static func all(_ source: PEMSource) throws(TLSError) -> [CertificateDetails] {
        let certificates = try unsafe source.certificates()
        defer { unsafe certificates.forEach { unsafe X509_free($0) } }
        return unsafe certificates.map { unsafe CertificateDetails($0) }
    }

    init(_ certificate: OpaquePointer) {
        serial = unsafe Self.serial(certificate)
        subject = unsafe Self.name(X509_get_subject_name(certificate))
        issuer = unsafe Self.name(X509_get_issuer_name(certificate))
        subjectDN = unsafe Self.distinguishedName(X509_get_subject_name(certificate))
        issuerDN = unsafe Self.distinguishedName(X509_get_issuer_name(certificate))
        notBefore = unsafe Self.seconds(X509_get0_notBefore(certificate))
        notAfter = unsafe Self.seconds(X509_get0_notAfter(certificate))
        uris = unsafe Self.alternatives(certificate, [GEN_URI])
        names = unsafe Self.alternatives(certificate, [GEN_DNS, GEN_IPADD])
        mailAddresses = unsafe Self.alternatives(certificate, [GEN_EMAIL])
        fingerprint = unsafe Self.fingerprint(certificate)
    }

    private static func serial(_ certificate: OpaquePointer) -> String {
        guard let number = unsafe ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return "" }
        defer { unsafe BN_free(number) }
        guard let text = unsafe BN_bn2hex(number) else { return "" }
        defer { unsafe COpenSSL_OPENSSL_free(text) }
        return unsafe String(cString: text)
    }

    private static func name(_ name: OpaquePointer?) -> String {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        unsafe COpenSSL_X509_NAME_print_oneline(bio, name)
        return unsafe MemoryBIO.text(bio)
    }

    private static func distinguishedName(_ name: OpaquePointer?) -> String {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        unsafe COpenSSL_X509_NAME_print_rfc2253(bio, name)
        let text = unsafe MemoryBIO.text(bio)
        // A comma before a type is never part of a value: there it is escaped.
        let mail = "emailAddress="
        return (text.hasPrefix(mail) ? "EMAIL=" + text.dropFirst(mail.count) : text)
            .replacing("," + mail, with: ",EMAIL=")
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int {
        let epoch = unsafe ASN1_TIME_set(nil, 0)
        defer { unsafe ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        unsafe ASN1_TIME_diff(&days, &seconds, epoch, time)
        return Int(days) * 86400 + Int(seconds)
    }

    private static func alternatives(_ certificate: OpaquePointer, _ types: [Int32]) -> [String] {
        guard let data = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(data)
        defer { unsafe GENERAL_NAMES_free(names) }
        return unsafe (0..<COpenSSL_GENERAL_NAMES_count(names)).compactMap { index in
            for type in types {
                var bytes: UnsafePointer<UInt8>?
                let length = unsafe COpenSSL_GENERAL_NAMES_name(names, index, type, &bytes)
                guard length >= 0, let bytes = unsafe bytes else { continue }
                let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(length)))
                return type == GEN_IPADD ? address(text) : String(decoding: text, as: UTF8.self)
            }
            return nil
        }
    }

    /// 4 or 16 bytes (RFC 5280 section 4.2.1.6).
    private static func address(_ bytes: [UInt8]) -> String {
        guard bytes.count == 16 else { return bytes.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    static func fingerprint(_ certificate: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe X509_digest(certificate, EVP_sha256(), &digest, nil)
        return Hexadecimal.text(digest)
    }
}
