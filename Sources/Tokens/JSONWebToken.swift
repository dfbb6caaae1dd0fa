internal import Cryptography
internal import JSON

/// A token in the compact form of RFC 7515 section 3.1, taken apart but not yet believed.
package struct JSONWebToken: Sendable {
    private struct Header: Codable {
        var alg: String
        var kid: String?
        var typ: String?
        var jku: String?
    }

    /// Extensions that change how a token is to be read. Whoever does not know them must not take it (RFC 7515
    /// section 4.1.11, RFC 7797 section 6); none is known here, whatever the value.
    private struct Extensions: Decodable {
        let isUsed: Bool

        private enum Name: String, CodingKey { case crit, b64 }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Name.self)
            isUsed = container.contains(.crit) || container.contains(.b64)
        }
    }

    /// Bytes of a whole token.
    package static let maxBytes = 16384

    package let algorithm: String
    package let keyID: String?
    package let claims: TokenClaims
    private let signed: [UInt8]
    private let signature: [UInt8]

    package init(_ bytes: some Collection<UInt8>) throws(TokenError) {
        guard bytes.count <= Self.maxBytes else { throw .tooLong }
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2]), !signature.isEmpty
        else { throw .notCompact }
        guard let header = try? JSONLines.decode(Header.self, head),
            let extensions = try? JSONLines.decode(Extensions.self, head)
        else { throw .badHeader }
        guard !extensions.isUsed else { throw .unknownExtension }
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
    fileprivate static func encodeURL(_ bytes: some Sequence<UInt8>) -> String { encodeURL(Array(bytes)) }
}
