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
/// They lie in one document, written as a whole; several services may share it.
package final class TokenKeys: Sendable {
    private struct Entry: Codable {
        var kid: String
        var created: Int
        var retired: Int?
        var lifetime: Int?
        /// PKCS #8, PEM.
        var key: String
    }

    private let document: any SecretDocument
    /// Of the tokens that are made now, in seconds.
    private let lifetime: Int
    /// Empty until the first key has been asked for.
    private let keys: Mutex<[TokenKey]>
    /// One change at a time; requests for tokens do not wait for it.
    private let changing = Mutex(())
    /// Nil where the file had keys.
    private let first: FirstKey?

    /// Reads the document, and makes it with a first key if there is none; the key follows.
    ///
    /// - Throws: where it cannot be read, is open to others or holds no keys.
    package init(_ document: any SecretDocument, lifetime: Int, now: Int) throws {
        self.document = document
        self.lifetime = lifetime
        guard let bytes = try document.read(), !bytes.isEmpty else {
            try document.prepare()
            keys = Mutex([])
            first = FirstKey { try Self.makeFirst(document, lifetime, now) }
            return
        }
        first = nil
        keys = Mutex(try Self.decode(bytes, document.name, lifetime))
        if let last = keys.withLock(\.last), last.lifetime < lifetime { try lengthen() }
    }

    /// What the newest key signs from now on lives longer than before.
    private func lengthen() throws {
        var changed: [TokenKey] = []
        try document.change { bytes in
            changed = try Self.decode(bytes ?? [], document.name, lifetime)
            changed[changed.count - 1].lifetime = max(lifetime, changed[changed.count - 1].lifetime)
            return Self.encode(changed)
        }
        keys.withLock { [changed] in $0 = changed }
    }

    /// Another service may have made one meanwhile: then that counts.
    private static func makeFirst(_ document: any SecretDocument, _ lifetime: Int, _ now: Int) throws -> TokenKey {
        var key = try make(now, lifetime)
        try document.change { bytes in
            guard let bytes, !bytes.isEmpty else { return encode([key]) }
            let known = try decode(bytes, document.name, lifetime)
            key = known[known.count - 1]
            return nil
        }
        return key
    }

    /// Takes notice of what another service has written.
    ///
    /// - Returns: whether there are other keys than before.
    package func reload() throws -> Bool {
        try changing.withLock { _ in
            guard let bytes = try document.read(), !bytes.isEmpty else { return false }
            let new = try Self.decode(bytes, document.name, lifetime)
            return keys.withLock { keys in
                defer { keys = new }
                return keys.map(\.id) != new.map(\.id)
            }
        }
    }

    /// With the first key, which may have to be waited for.
    private func withKeys<Value>(_ use: (inout [TokenKey]) throws -> Value) throws -> Value {
        guard let first, isEmpty else { return try keys.withLock { try use(&$0) } }
        // Where it could not be kept, because a store was away: again, by whoever needs it.
        let key = try (try? first.get()) ?? Self.makeFirst(document, lifetime, WallClock.seconds())
        return try keys.withLock { keys in
            if keys.isEmpty { keys = [key] }
            return try use(&keys)
        }
    }

    private var isEmpty: Bool { keys.withLock(\.isEmpty) }

    private static func decode(_ bytes: [UInt8], _ name: String, _ lifetime: Int) throws -> [TokenKey] {
        guard let entries = try? JSONLines.decode([Entry].self, bytes), !entries.isEmpty else {
            throw FileError("\(name) holds no token keys; move it away, and the next start makes new ones")
        }
        return try entries.map { entry in
            let key = try SigningKey(.pem(entry.key))
            guard key.rsaParameters != nil else { throw FileError("\(name): key \(entry.kid) is not an RSA key") }
            return TokenKey(
                id: entry.kid,
                created: entry.created,
                retired: entry.retired,
                lifetime: entry.lifetime ?? lifetime,
                signingKey: key
            )
        }
    }

    private static func encode(_ keys: [TokenKey]) -> [UInt8] {
        let entries = keys.map {
            Entry(
                kid: $0.id,
                created: $0.created,
                retired: $0.retired,
                lifetime: $0.lifetime,
                key: $0.signingKey.pem
            )
        }
        return JSONLines.encode(entries)
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
        _ = try current
        try changing.withLock { _ in
            var changed: [TokenKey] = []
            try document.change { bytes in
                changed = try Self.decode(bytes ?? [], document.name, lifetime).filter { $0.isBelieved(now) }
                for index in changed.indices where changed[index].retired == nil { changed[index].retired = now }
                changed.append(next)
                return Self.encode(changed)
            }
            keys.withLock { [changed] in $0 = changed }
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
        if let first, first.now == nil, isEmpty { return TokenVerifier(keys: [:], first: first, clients: clients) }
        let keys = try all(now: now).map { ($0.id, try VerifyingKey(pem: $0.signingKey.publicKeyPEM)) }
        return TokenVerifier(keys: Dictionary(uniqueKeysWithValues: keys), clients: clients)
    }
}
