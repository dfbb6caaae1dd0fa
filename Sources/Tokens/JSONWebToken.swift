internal import ControlProtocol
internal import TunnelCore

/// A token in the compact form of RFC 7515 section 3.1, taken apart but not yet believed.
package struct JSONWebToken: Sendable {
    private struct Header: Codable {
        var alg: String
        var kid: String?
        var typ: String?
        var jku: String?
    }

    /// Octets of a whole token.
    package static let maxOctets = 16384

    package let algorithm: String
    package let keyID: String?
    package let claims: TokenClaims
    private let signed: [UInt8]
    private let signature: [UInt8]

    package init(_ octets: some Collection<UInt8>) throws(TokenError) {
        guard octets.count <= Self.maxOctets else { throw .tooLong }
        let parts = octets.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2]), !signature.isEmpty
        else { throw .notCompact }
        guard let header = try? JSONLines.decode(Header.self, head) else { throw .badHeader }
        guard let claims = try? JSONLines.decode(TokenClaims.self, payload) else { throw .badClaims }
        algorithm = header.alg
        keyID = header.kid
        self.claims = claims
        signed = Array(parts[0]) + [UInt8(ascii: ".")] + Array(parts[1])
        self.signature = signature
    }

    /// Whether `key` signed it with RS256. No other algorithm is ever tried, whatever the header says (RFC 8725
    /// section 3.1).
    func isSigned(by key: VerifyingKey) -> Bool {
        algorithm == "RS256" && key.isValid(signature, over: signed)
    }

    /// Signs `claims` with RS256.
    static func sign(_ claims: TokenClaims, with key: TokenKey, keyURL: String) throws -> String {
        let header = Header(alg: "RS256", kid: key.id, typ: "JWT", jku: keyURL)
        let parts = [JSONLines.encode(header), JSONLines.encode(claims)].map { Base64.encodeURL($0.dropLast()) }
        let signed = parts.joined(separator: ".")
        return try signed + "." + Base64.encodeURL(key.signingKey.sign(Array(signed.utf8)))
    }
}

extension Base64 {
    fileprivate static func encodeURL(_ octets: some Sequence<UInt8>) -> String { encodeURL(Array(octets)) }
}
