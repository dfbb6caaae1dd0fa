internal import Cryptography
internal import JSON
internal import Synchronization

/// Who stands behind a token that was found good.
package struct VerifiedToken: Sendable, Equatable {
    /// The tenant (`zid`).
    package var subaccount: String
    package var client: String
    /// Nil for an application's own token.
    package var user: String?
    /// Seconds since 1970.
    package var expires: Int
    package var claims: TokenClaims
}

/// Checks tokens of this service. A value for one set of keys: after a rotation there is another one.
package final class TokenVerifier: Sendable {
    private let keys: [String: VerifyingKey]
    /// Of a service that has just begun.
    private let first: FirstKey?
    private let firstVerifying = Mutex<VerifyingKey?>(nil)
    private let clients: Set<String>

    /// Seconds by which clocks may differ.
    package static let leeway = 60

    /// - Parameters:
    ///   - first: counts as well, once it is there.
    ///   - clients: whose tokens count; empty for everyone's.
    init(keys: [String: VerifyingKey], first: FirstKey? = nil, clients: Set<String>) {
        (self.keys, self.first) = (keys, first)
        self.clients = clients
    }

    private func key(_ id: String) -> VerifyingKey? {
        if let key = keys[id] { return key }
        guard let made = first?.now, made.id == id else { return nil }
        return firstVerifying.withLock { known in
            if known == nil { known = try? VerifyingKey(pem: made.signingKey.publicKeyPEM) }
            return known
        }
    }

    /// - Parameter now: seconds since 1970.
    package func verify(_ bytes: some Collection<UInt8>, now: Int) throws(TokenError) -> VerifiedToken {
        let token = try JSONWebToken(bytes)
        guard token.algorithm == "RS256" else { throw .badAlgorithm }
        guard let id = token.keyID, let key = key(id) else { throw .unknownKey }
        guard token.isSigned(by: key) else { throw .badSignature }
        let claims = token.claims
        guard let expires = claims.exp, expires > now else { throw .expired }
        guard (claims.nbf ?? claims.iat ?? 0) <= now + Self.leeway else { throw .notYetValid }
        guard let tenant = claims.zid, !tenant.isEmpty else { throw .noTenant }
        guard let client = claims.client else { throw .noClient }
        guard clients.isEmpty || clients.contains(client) else { throw .wrongClient }
        return VerifiedToken(
            subaccount: tenant,
            client: client,
            user: claims.user,
            expires: expires,
            claims: claims
        )
    }

    /// Who a user's token stands for, as it says itself: to tell two users apart, never to trust one. Tokens of other
    /// issuers are judged by the connector.
    ///
    /// - Returns: the bytes themselves for what is no JSON Web Token.
    package static func principal(of bytes: some Collection<UInt8>) -> String {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64.decodeURL(parts[1]),
            let claims = try? JSONLines.decode(Subject.self, payload),
            let name = claims.user_name ?? claims.email ?? claims.user_uuid ?? claims.user_id ?? claims.sub
        else { return String(decoding: bytes, as: UTF8.self) }
        return "\(claims.origin ?? claims.iss ?? "")/\(name)"
    }

    /// The claims that name somebody, in the order in which SAP's product looks for them.
    private struct Subject: Decodable {
        var user_name, email, user_uuid, user_id, sub, origin, iss: String?
    }
}
