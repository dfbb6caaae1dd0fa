internal import COpenSSL

/// SHA-256 of the system's OpenSSL.
package enum SHA256 {
    /// 32 bytes (FIPS 180-4).
    package static func digest(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let input = Array(bytes)
        unsafe EVP_Digest(input, input.count, &digest, nil, EVP_sha256(), nil)
        return digest
    }
}

/// SHA-1 of the system's OpenSSL. For WebSocket's handshake, which asks for it and for no secrecy (RFC 6455 section 10.8).
package enum SHA1 {
    /// 20 bytes (FIPS 180-4).
    package static func digest(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        let input = Array(bytes)
        unsafe EVP_Digest(input, input.count, &digest, nil, EVP_sha1(), nil)
        return digest
    }
}

/// Unpredictable bytes from OpenSSL's generator.
package enum SecureRandom {
    /// From OpenSSL's generator.
    package static func bytes(_ count: Int) throws(TLSError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else {
            throw TLSError(.configuration, "no random numbers: \(TLSError.takeQueue().text)")
        }
        return bytes
    }
}

/// A key pair that signs over SHA-256: P-256 with ECDSA for the certificates of connectors and for the audit log, RSA with
/// PKCS #1 v1.5 for tokens, as the clients of those expect (RS256).
///
/// The key is made in `init` and only read from then on, which OpenSSL allows from several threads.
@safe package final class SigningKey: @unchecked Sendable {
    let key: OpaquePointer

    /// Makes a new one.
    package init() throws(TLSError) {
        guard let key = unsafe COpenSSL_EVP_EC_gen_p256() else {
            throw TLSError(.configuration, "cannot make a key: \(TLSError.takeQueue().text)")
        }
        unsafe self.key = unsafe key
    }

    /// Makes a new one for RSA; 4096 bits take a second or two.
    package static func rsa(bits: Int = 2048) throws(TLSError) -> SigningKey {
        guard let key = unsafe COpenSSL_EVP_RSA_gen(bits) else {
            throw TLSError(.configuration, "cannot make a key: \(TLSError.takeQueue().text)")
        }
        return unsafe SigningKey(key)
    }

    /// Takes over a key.
    init(_ key: OpaquePointer) { unsafe self.key = unsafe key }

    /// Reads one from PEM.
    package init(_ source: PEMSource) throws(TLSError) {
        let bio = try unsafe source.open()
        defer { unsafe BIO_free(bio) }
        guard let key = unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil) else {
            throw TLSError(
                .configuration,
                "\(source.name) holds no private key: \(TLSError.takeQueue().text)"
            )
        }
        unsafe self.key = unsafe key
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// PEM, unencrypted.
    package var pem: String {
        unsafe MemoryBIO.text { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    package var publicKeyPEM: String { unsafe MemoryBIO.text { unsafe PEM_write_bio_PUBKEY($0, key) } }

    /// Modulus and exponent, big-endian; nil for a key of another kind.
    package var rsaParameters: (n: [UInt8], e: [UInt8])? {
        guard unsafe EVP_PKEY_is_a(key, "RSA") == 1, let n = number("n"), let e = number("e") else { return nil }
        return (n, e)
    }

    private func number(_ name: String) -> [UInt8]? {
        var number: OpaquePointer?
        guard unsafe EVP_PKEY_get_bn_param(key, name, &number) == 1 else {
            ERR_clear_error()
            return nil
        }
        defer { unsafe BN_free(number) }
        var bytes = unsafe [UInt8](repeating: 0, count: (Int(BN_num_bits(number)) + 7) / 8)
        unsafe BN_bn2bin(number, &bytes)
        return bytes
    }

    /// - Returns: a signature over SHA-256; ECDSA in DER, or RSA with PKCS #1 v1.5.
    package func sign(_ bytes: [UInt8]) throws(TLSError) -> [UInt8] {
        let context = unsafe EVP_MD_CTX_new()
        defer { unsafe EVP_MD_CTX_free(context) }
        var length = 0
        guard unsafe EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
            unsafe EVP_DigestSign(context, nil, &length, bytes, bytes.count) == 1
        else { throw TLSError(.configuration, "cannot sign: \(TLSError.takeQueue().text)") }
        var signature = [UInt8](repeating: 0, count: length)
        guard unsafe EVP_DigestSign(context, &signature, &length, bytes, bytes.count) == 1 else {
            throw TLSError(.configuration, "cannot sign: \(TLSError.takeQueue().text)")
        }
        return Array(signature.prefix(length))
    }

    /// Whether `signature` over `bytes` was made with the private half of this public key.
    package static func isValid(_ signature: [UInt8], over bytes: [UInt8], publicKeyPEM: String) -> Bool {
        guard let bio = try? unsafe PEMSource.pem(publicKeyPEM).open() else { return false }
        defer { unsafe BIO_free(bio) }
        guard let key = unsafe PEM_read_bio_PUBKEY(bio, nil, nil, nil) else {
            ERR_clear_error()
            return false
        }
        defer { unsafe EVP_PKEY_free(key) }
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return unsafe EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }

    /// A request for a certificate over this key (PKCS #10), PEM. It names nobody: who the holder is, the authority
    /// knows from elsewhere.
    package func certificateRequest() throws(TLSError) -> String {
        guard let request = unsafe X509_REQ_new() else { throw Self.failure() }
        defer { unsafe X509_REQ_free(request) }
        unsafe X509_NAME_add_entry_by_NID(
            X509_REQ_get_subject_name(request),
            NID_commonName,
            MBSTRING_UTF8,
            "connector",
            -1,
            -1,
            0
        )
        guard unsafe X509_REQ_set_pubkey(request, key) == 1, unsafe X509_REQ_sign(request, key, EVP_sha256()) > 0 else {
            throw Self.failure()
        }
        return unsafe MemoryBIO.text { unsafe PEM_write_bio_X509_REQ($0, request) }
    }

    private static func failure() -> TLSError {
        TLSError(.configuration, "cannot make a certificate request: \(TLSError.takeQueue().text)")
    }
}
