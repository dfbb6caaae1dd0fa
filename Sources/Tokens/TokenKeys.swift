internal import Cryptography
internal import HostSystem
internal import JSON
internal import Synchronization
internal import TextFormats

/// A key that signs tokens.
package struct TokenKey: Sendable {
    package let id: String
    /// Seconds since 1970.
    package let created: Int
    /// Since when another key signs; nil for the one that does.
    package var retired: Int?
    /// The longest life of a token that it signed, in seconds.
    package var lifetime: Int
    let signingKey: SigningKey

    /// Times come from a file.
    func isBelieved(_ now: Int) -> Bool { (retired.map(WallClock.clamped) ?? now) + WallClock.clamped(lifetime) >= now }
}

/// The keys of the token service: the newest one signs, those before it are believed until their last token has ended.
///
/// They lie in one file with mode 0600, written as a whole.
package final class TokenKeys: Sendable {
    private struct Entry: Codable {
        var kid: String
        var created: Int
        var retired: Int?
        var lifetime: Int?
        /// PKCS #8, PEM.
        var key: String
    }

    private let path: String
    /// Of the tokens that are made now, in seconds.
    private let lifetime: Int
    /// Empty until the first key has been asked for.
    private let keys: Mutex<[TokenKey]>
    /// Nil where the file had keys.
    private let first: FirstKey?

    /// Reads the file, and makes it with a first key if there is none; the key follows.
    ///
    /// - Throws: where the file cannot be read, is open to others or holds no keys.
    package init(path: String, lifetime: Int, now: Int) throws {
        self.path = path
        self.lifetime = lifetime
        if let bytes = try PrivateFile.read(path), !bytes.isEmpty {
            first = nil
            var known = try Self.decode(bytes, path, lifetime)
            let last = known.count - 1
            if known[last].lifetime < lifetime {
                known[last].lifetime = lifetime
                try Self.write(known, path)
            }
            keys = Mutex(known)
        } else {
            // Now it is known that there can be one, and nobody else makes another.
            try AtomicFile.write([], to: path, mode: 0o600)
            keys = Mutex([])
            first = FirstKey {
                let key = try Self.make(now, lifetime)
                try Self.write([key], path)
                return key
            }
        }
    }

    /// With the first key, which may have to be waited for.
    private func withKeys<Value>(_ use: (inout [TokenKey]) throws -> Value) throws -> Value {
        guard let first else { return try keys.withLock { try use(&$0) } }
        let key = try first.get()
        return try keys.withLock { keys in
            if keys.isEmpty { keys = [key] }
            return try use(&keys)
        }
    }

    private static func decode(_ bytes: [UInt8], _ path: String, _ lifetime: Int) throws -> [TokenKey] {
        guard let entries = try? JSONLines.decode([Entry].self, bytes), !entries.isEmpty else {
            throw FileError("\(path) holds no token keys; move it away, and the next start makes new ones")
        }
        return try entries.map { entry in
            let key = try SigningKey(.pem(entry.key))
            guard key.rsaParameters != nil else { throw FileError("\(path): key \(entry.kid) is not an RSA key") }
            return TokenKey(
                id: entry.kid,
                created: entry.created,
                retired: entry.retired,
                lifetime: entry.lifetime ?? lifetime,
                signingKey: key
            )
        }
    }

    private static func write(_ keys: [TokenKey], _ path: String) throws {
        let entries = keys.map {
            Entry(
                kid: $0.id,
                created: $0.created,
                retired: $0.retired,
                lifetime: $0.lifetime,
                key: $0.signingKey.pem
            )
        }
        try AtomicFile.write(JSONLines.encode(entries), to: path, mode: 0o600)
    }

    private static func make(_ now: Int, _ lifetime: Int) throws -> TokenKey {
        let id = "key-" + Hexadecimal.text(try SecureRandom.bytes(8))
        return TokenKey(id: id, created: now, lifetime: lifetime, signingKey: try SigningKey.rsa())
    }

    /// The one that signs.
    ///
    /// - Throws: where the first one could not be made or kept.
    package var current: TokenKey { get throws { try withKeys { $0[$0.count - 1] } } }

    /// All that are believed at `now`.
    package func all(now: Int) throws -> [TokenKey] {
        try withKeys { $0.filter { $0.isBelieved(now) } }
    }

    /// Makes a new key that signs from now on. Those whose last token has ended are forgotten.
    package func rotate(now: Int) throws {
        let next = try Self.make(now, lifetime)
        try withKeys { keys in
            var changed = keys.filter { $0.isBelieved(now) }
            for index in changed.indices where changed[index].retired == nil { changed[index].retired = now }
            changed.append(next)
            try Self.write(changed, path)
            keys = changed
        }
    }

    /// Answer of `/token_keys`: RFC 7517, and the public key once more as PEM in `value`, which SAP's libraries read.
    package func document(now: Int) throws -> [UInt8] {
        struct Key: Encodable {
            var kty = "RSA"
            var use = "sig"
            var alg = "RS256"
            var kid, n, e, value: String
        }
        let documents = try all(now: now).reversed().map { key in
            let parameters = key.signingKey.rsaParameters ?? ([], [])
            return Key(
                kid: key.id,
                n: Base64.encodeURL(parameters.n),
                e: Base64.encodeURL(parameters.e),
                value: key.signingKey.publicKeyPEM
            )
        }
        return JSONLines.encode(["keys": documents])
    }

    /// The current public key, PEM; part of service bindings.
    package var verificationKey: String { get throws { try current.signingKey.publicKeyPEM } }

    /// What checks tokens with the keys of now, and with the first one when it is there: nobody waits for it here.
    package func verifier(clients: Set<String>, now: Int) throws -> TokenVerifier {
        if let first, first.now == nil { return TokenVerifier(keys: [:], first: first, clients: clients) }
        let keys = try all(now: now).map { ($0.id, try VerifyingKey(pem: $0.signingKey.publicKeyPEM)) }
        return TokenVerifier(keys: Dictionary(uniqueKeysWithValues: keys), clients: clients)
    }
}
