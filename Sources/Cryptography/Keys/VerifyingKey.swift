internal import COpenSSL

/// The public half of an RSA key: checks RS256 signatures (RFC 7518 section 3.3).
///
/// Made in `init` and only read from then on, which OpenSSL allows from several threads.
@safe package final class VerifyingKey: @unchecked Sendable {
    private let key: OpaquePointer

    /// - Parameter pem: a public key ("BEGIN PUBLIC KEY").
    /// - Throws: for what is no RSA key.
    package init(pem: String) throws(TLSError) {
        let bio = try unsafe PEMSource.pem(pem).open()
        defer { unsafe BIO_free(bio) }
        guard let key = unsafe PEM_read_bio_PUBKEY(bio, nil, nil, nil) else {
            throw TLSError(.configuration, "no public key: \(TLSError.takeQueue().text)")
        }
        unsafe self.key = unsafe key
        guard unsafe EVP_PKEY_is_a(key, "RSA") == 1 else {
            throw TLSError(.configuration, "the public key is no RSA key")
        }
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// Whether the key's owner has signed these bytes with RS256 (RFC 7518 section 3.3).
    package func isValid(_ signature: [UInt8], over bytes: [UInt8]) -> Bool {
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return unsafe EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }
}

/// Comparison that takes as long for a near miss as for any other.
package enum ConstantTime {
    /// Takes the same time wherever the two differ; their lengths are no secret.
    package static func isEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        // Digests have one length, so that not even the length of a secret shows.
        let (first, second) = (SHA256.digest(one), SHA256.digest(other))
        return unsafe CRYPTO_memcmp(first, second, first.count) == 0
    }
}
