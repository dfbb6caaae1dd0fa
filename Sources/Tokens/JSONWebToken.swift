internal import Cryptography
internal import JSON

/// A token in the compact form of RFC 7515 section 3.1, taken apart but not yet believed.
package struct JSONWebToken: Sendable {
    private struct Header: Encodable {
        var alg: String
        var kid: String?
        var typ: String?
        var jku: String?
    }

    /// Bytes of a whole token.
    package static let maxBytes = CompactToken.maxBytes

    package let claims: TokenClaims
    private let compact: CompactToken

    package var algorithm: String { compact.algorithm }
    package var keyID: String? { compact.keyID }

    package init(_ bytes: some Collection<UInt8>) throws(TokenError) {
        do throws(CompactToken.Fault) {
            compact = try CompactToken(bytes)
        } catch {
            throw switch error {
            case .tooLong: .tooLong
            case .notCompact: .notCompact
            case .badHeader: .badHeader
            case .unknownExtension: .unknownExtension
            }
        }
        guard let claims = try? JSONLines.decode(TokenClaims.self, compact.payload) else { throw .badClaims }
        self.claims = claims
    }

    /// Whether `key` signed it with RS256. No other algorithm is ever tried, whatever the header says (RFC 8725
    /// section 3.1).
    func isSigned(by key: VerifyingKey) -> Bool {
        algorithm == "RS256" && key.isValid(compact.signature, over: compact.signed)
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
