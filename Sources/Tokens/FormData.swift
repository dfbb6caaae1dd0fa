internal import ControlProtocol

/// A body of `application/x-www-form-urlencoded`.
package struct FormData: Sendable {
    /// Pairs of a body.
    package static let maxPairs = 100

    private var pairs: [String: String] = [:]

    /// - Returns: nil for bad escapes, a name that comes twice, text that is no UTF-8, or more than `maxPairs` pairs.
    package init?(_ octets: some Collection<UInt8>) {
        for pair in octets.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentText.decode(parts[0], plusIsSpace: true),
                let value = PercentText.decode(parts.count > 1 ? parts[1] : pair.prefix(0), plusIsSpace: true),
                pairs.updateValue(value, forKey: name) == nil, pairs.count <= Self.maxPairs
            else { return nil }
        }
    }

    package subscript(_ name: String) -> String? { pairs[name] }
}
