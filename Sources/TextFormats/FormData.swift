/// A body of `application/x-www-form-urlencoded`.
package struct FormData: Sendable {
    /// Pairs of a body.
    package static let maxPairs = 100

    private var pairs: [String: String] = [:]

    /// - Parameter query: of the URL, whose pairs count as well; a name in both must have the same value.
    /// - Returns: nil for bad escapes, a name that comes twice, text that is not UTF-8, or more than `maxPairs` pairs.
    package init?(_ bytes: some Collection<UInt8>, query: String = "") {
        guard let body = Self.pairs(bytes), let inURL = Self.pairs(query.utf8) else { return nil }
        pairs = inURL
        for (name, value) in body {
            if let other = pairs.updateValue(value, forKey: name), other != value { return nil }
        }
        guard pairs.count <= Self.maxPairs else { return nil }
    }

    private static func pairs(_ bytes: some Collection<UInt8>) -> [String: String]? {
        var pairs: [String: String] = [:]
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentText.decode(parts[0], plusIsSpace: true),
                let value = PercentText.decode(parts.count > 1 ? parts[1] : pair.prefix(0), plusIsSpace: true),
                pairs.updateValue(value, forKey: name) == nil, pairs.count <= maxPairs
            else { return nil }
        }
        return pairs
    }

    package var names: some Collection<String> { pairs.keys }

    package subscript(_ name: String) -> String? { pairs[name] }
}
