internal import COpenSSL

/// SHA-256 of the system's OpenSSL.
package enum SHA256 {
    package static func digest(_ octets: some Sequence<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let input = Array(octets)
        EVP_Digest(input, input.count, &digest, nil, EVP_sha256(), nil)
        return digest
    }
}

/// Unpredictable octets from OpenSSL's generator.
package enum SecureRandom {
    package static func octets(_ count: Int) throws(TLSError) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&octets, Int32(count)) == 1 else {
            throw TLSError(.configuration, "no random numbers: \(TLSError.takeQueue().text)")
        }
        return octets
    }
}

/// A key pair that signs over SHA-256: P-256 with ECDSA for the certificates of connectors and for the audit log, RSA with
/// PKCS #1 v1.5 for tokens, as the clients of those expect (RS256).
///
/// The key is made in `init` and only read from then on, which OpenSSL allows from several threads.
package final class SigningKey: @unchecked Sendable {
    let key: OpaquePointer

    /// Makes a new one.
    package init() throws(TLSError) {
        guard let key = COpenSSL_EVP_EC_gen_p256() else {
            throw TLSError(.configuration, "cannot make a key: \(TLSError.takeQueue().text)")
        }
        self.key = key
    }

    /// Makes a new one of 2048 bits.
    package static func rsa() throws(TLSError) -> SigningKey {
        guard let key = COpenSSL_EVP_RSA_gen_2048() else {
            throw TLSError(.configuration, "cannot make a key: \(TLSError.takeQueue().text)")
        }
        return SigningKey(key)
    }

    private init(_ key: OpaquePointer) { self.key = key }

    /// Reads one from PEM.
    package init(_ source: TLSConfiguration.Source) throws(TLSError) {
        let bio = try TLSContext.open(source)
        defer { BIO_free(bio) }
        guard let key = PEM_read_bio_PrivateKey(bio, nil, nil, nil) else {
            throw TLSError(
                .configuration,
                "\(TLSContext.name(source)) holds no private key: \(TLSError.takeQueue().text)"
            )
        }
        self.key = key
    }

    deinit { EVP_PKEY_free(key) }

    /// PEM, unencrypted.
    package var pem: String {
        CertificateIssuer.text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    package var publicKeyPEM: String { CertificateIssuer.text { PEM_write_bio_PUBKEY($0, key) } }

    /// Modulus and exponent, big-endian; nil for a key of another kind.
    package var rsaParameters: (n: [UInt8], e: [UInt8])? {
        guard EVP_PKEY_is_a(key, "RSA") == 1, let n = number("n"), let e = number("e") else { return nil }
        return (n, e)
    }

    private func number(_ name: String) -> [UInt8]? {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1 else {
            ERR_clear_error()
            return nil
        }
        defer { BN_free(number) }
        var octets = [UInt8](repeating: 0, count: (Int(BN_num_bits(number)) + 7) / 8)
        BN_bn2bin(number, &octets)
        return octets
    }

    /// - Returns: a signature over SHA-256; ECDSA in DER, or RSA with PKCS #1 v1.5.
    package func sign(_ octets: [UInt8]) throws(TLSError) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var length = 0
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
            EVP_DigestSign(context, nil, &length, octets, octets.count) == 1
        else { throw TLSError(.configuration, "cannot sign: \(TLSError.takeQueue().text)") }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, octets, octets.count) == 1 else {
            throw TLSError(.configuration, "cannot sign: \(TLSError.takeQueue().text)")
        }
        return Array(signature.prefix(length))
    }

    /// Whether `signature` over `octets` was made with the private half of this public key.
    package static func isValid(_ signature: [UInt8], over octets: [UInt8], publicKeyPEM: String) -> Bool {
        guard let bio = try? TLSContext.open(.pem(publicKeyPEM)) else { return false }
        defer { BIO_free(bio) }
        guard let key = PEM_read_bio_PUBKEY(bio, nil, nil, nil) else {
            ERR_clear_error()
            return false
        }
        defer { EVP_PKEY_free(key) }
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, octets, octets.count) == 1
    }

    /// A request for a certificate over this key (PKCS #10), PEM. It names nobody: who the holder is, the authority
    /// knows from elsewhere.
    package func certificateRequest() throws(TLSError) -> String {
        guard let request = X509_REQ_new() else { throw Self.failure() }
        defer { X509_REQ_free(request) }
        X509_NAME_add_entry_by_NID(
            X509_REQ_get_subject_name(request),
            NID_commonName,
            MBSTRING_UTF8,
            "connector",
            -1,
            -1,
            0
        )
        guard X509_REQ_set_pubkey(request, key) == 1, X509_REQ_sign(request, key, EVP_sha256()) > 0 else {
            throw Self.failure()
        }
        return CertificateIssuer.text { PEM_write_bio_X509_REQ($0, request) }
    }

    private static func failure() -> TLSError {
        TLSError(.configuration, "cannot make a certificate request: \(TLSError.takeQueue().text)")
    }
}
