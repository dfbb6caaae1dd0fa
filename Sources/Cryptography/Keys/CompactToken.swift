internal import JSON

/// A signed token in the compact form (RFC 7515 section 3.1), taken apart but not yet believed.
package struct CompactToken: Sendable {
    /// Why something is none.
    package enum Fault: Error, Sendable {
        case tooLong
        case notCompact
        case badHeader
        /// Extensions change how a token is to be read. Whoever does not know them must not take it (RFC 7515
        /// section 4.1.11, RFC 7797 section 6); none is known here, whatever the value.
        case unknownExtension
    }

    private struct Header: Decodable {
        var alg: String
        var kid: String?
        let hasExtensions: Bool

        private enum Name: String, CodingKey { case alg, kid, crit, b64 }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Name.self)
            alg = try container.decode(String.self, forKey: .alg)
            kid = try container.decodeIfPresent(String.self, forKey: .kid)
            hasExtensions = container.contains(.crit) || container.contains(.b64)
        }
    }

    /// Bytes of a whole token.
    package static let maxBytes = 16384

    package let algorithm: String
    package let keyID: String?
    /// The claims, as JSON.
    package let payload: [UInt8]
    /// What the signature is over.
    package let signed: [UInt8]
    package let signature: [UInt8]

    package init(_ bytes: some Collection<UInt8>) throws(Fault) {
        guard bytes.count <= Self.maxBytes else { throw .tooLong }
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2]), !signature.isEmpty
        else { throw .notCompact }
        guard let header = try? JSONLines.decode(Header.self, head) else { throw .badHeader }
        guard !header.hasExtensions else { throw .unknownExtension }
        (algorithm, keyID) = (header.alg, header.kid)
        (self.payload, self.signature) = (payload, signature)
        signed = Array(parts[0]) + [UInt8(ascii: ".")] + Array(parts[1])
    }
}
