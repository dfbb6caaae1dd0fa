internal import COpenSSL

/// Something that a password keeps secret: AES-256-GCM under a key that scrypt (RFC 7914) makes of the password.
///
/// As bytes: `CCB1`, 16 of salt, 12 of nonce, the ciphertext, 16 of tag.
package enum SecretBox {
    private static let mark = Array("CCB1".utf8)
    private static let overhead = 4 + 16 + 12 + 16

    /// A password with a salt, so that several things cost scrypt once.
    package struct Key: Sendable {
        fileprivate let salt: [UInt8]
        fileprivate let key: [UInt8]

        package init(password: String) throws(TLSError) { try self.init(password, try SecureRandom.bytes(16)) }

        fileprivate init(_ password: String, _ salt: [UInt8]) throws(TLSError) {
            self.salt = salt
            key = try PasswordHash.derive(password, salt, 15, 8, 1)
        }
    }

    /// Of what was sealed: which of several keys it takes.
    package static func salt(of sealed: [UInt8]) -> [UInt8] { Array(sealed.dropFirst(mark.count).prefix(16)) }

    package static func seal(_ bytes: [UInt8], _ key: Key) throws(TLSError) -> [UInt8] {
        let nonce = try SecureRandom.bytes(12)
        let context = unsafe EVP_CIPHER_CTX_new()
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        var output = [UInt8](repeating: 0, count: bytes.count + 16)
        var tag = [UInt8](repeating: 0, count: 16)
        var (written, rest): (Int32, Int32) = (0, 0)
        guard unsafe EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nil, key.key, nonce) == 1,
            unsafe EVP_EncryptUpdate(context, &output, &written, bytes, Int32(bytes.count)) == 1,
            unsafe EVP_EncryptFinal_ex(context, nil, &rest) == 1,
            unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag) == 1
        else { throw TLSError(.configuration, "cannot encrypt: \(TLSError.takeQueue().text)") }
        return mark + key.salt + nonce + output.prefix(Int(written)) + tag
    }

    /// - Parameter known: keys that were made for earlier ones, by their salts; gets the one that is needed.
    /// - Returns: nil with another password, or for what was changed.
    package static func open(
        _ sealed: [UInt8],
        password: String,
        known: inout [[UInt8]: Key]
    ) throws(TLSError) -> [UInt8]? {
        guard sealed.count >= overhead, sealed.starts(with: mark) else { return nil }
        let salt = Array(sealed[4..<20])
        let key: Key
        if let found = known[salt] { key = found } else { key = try Key(password, salt) }
        known[salt] = key
        let nonce = Array(sealed[20..<32])
        let text = Array(sealed[32..<(sealed.count - 16)])
        var tag = Array(sealed.suffix(16))
        let context = unsafe EVP_CIPHER_CTX_new()
        defer {
            unsafe EVP_CIPHER_CTX_free(context)
            ERR_clear_error()
        }
        var output = [UInt8](repeating: 0, count: text.count + 16)
        var (written, rest): (Int32, Int32) = (0, 0)
        guard unsafe EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nil, key.key, nonce) == 1,
            unsafe EVP_DecryptUpdate(context, &output, &written, text, Int32(text.count)) == 1,
            unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, &tag) == 1,
            unsafe EVP_DecryptFinal_ex(context, nil, &rest) == 1
        else { return nil }
        return Array(output.prefix(Int(written)))
    }
}
