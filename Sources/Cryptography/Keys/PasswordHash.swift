internal import COpenSSL
internal import JSON

/// What is kept of a password: scrypt (RFC 7914) with a salt of its own.
///
/// As text: `scrypt$N as a power of two$r$p$salt$hash`, salt and hash in Base64 for URLs.
package struct PasswordHash: Sendable, Equatable {
    /// 32 MiB and a tenth of a second, for whoever tries and for whoever guesses.
    private static let usual = (power: 15, blocks: 8, parallel: 1)
    private static let bytes = 32

    package let text: String

    /// - Parameter text: as it was kept.
    package init(text: String) { self.text = text }

    /// Takes a tenth of a second; not for an event loop.
    package init(password: String) throws(TLSError) {
        let salt = try SecureRandom.bytes(16)
        let hash = try Self.derive(password, salt, Self.usual.power, Self.usual.blocks, Self.usual.parallel)
        text =
            "scrypt$\(Self.usual.power)$\(Self.usual.blocks)$\(Self.usual.parallel)$\(Base64.encodeURL(salt))$\(Base64.encodeURL(hash))"
    }

    /// Whether this is the password; false as well for a text that nobody has made here. Takes as long as making it.
    package func matches(_ password: String) -> Bool {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "scrypt", let power = Int(parts[1]), (10...20).contains(power),
            let blocks = Int(parts[2]), (1...16).contains(blocks), let parallel = Int(parts[3]),
            (1...4).contains(parallel), let salt = Base64.decodeURL(parts[4].utf8),
            let expected = Base64.decodeURL(parts[5].utf8), expected.count == Self.bytes,
            let hash = try? Self.derive(password, salt, power, blocks, parallel)
        else { return false }
        return ConstantTime.isEqual(hash, expected)
    }

    /// A key for encryption from a password.
    static func derive(
        _ password: String,
        _ salt: [UInt8],
        _ power: Int,
        _ blocks: Int,
        _ parallel: Int
    ) throws(TLSError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: bytes)
        let secret = Array(password.utf8).map { CChar(bitPattern: $0) }
        let memory = UInt64(128 * blocks) << UInt64(power)
        let result = unsafe EVP_PBE_scrypt(
            secret,
            secret.count,
            salt,
            salt.count,
            1 << UInt64(power),
            UInt64(blocks),
            UInt64(parallel),
            memory + (1 << 20),
            &key,
            key.count
        )
        guard result == 1 else { throw TLSError(.configuration, "scrypt: \(TLSError.takeQueue().text)") }
        return key
    }
}
