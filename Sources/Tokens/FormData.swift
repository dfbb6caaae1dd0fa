/// A body of `application/x-www-form-urlencoded`.
package struct FormData: Sendable {
    /// Pairs of a body.
    package static let maxPairs = 100

    private var pairs: [String: String] = [:]

    /// - Returns: nil for bad escapes, a name that comes twice, text that is no UTF-8, or more than `maxPairs` pairs.
    package init?(_ octets: some Collection<UInt8>) {
        for pair in octets.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decode(parts[0]),
                let value = Self.decode(parts.count > 1 ? parts[1] : pair.prefix(0)),
                pairs.updateValue(value, forKey: name) == nil, pairs.count <= Self.maxPairs
            else { return nil }
        }
    }

    package subscript(_ name: String) -> String? { pairs[name] }

    /// Undoes "%20" and "+".
    package static func decode(_ octets: some Collection<UInt8>, plusIsSpace: Bool = true) -> String? {
        var result: [UInt8] = []
        var iterator = octets.makeIterator()
        while let octet = iterator.next() {
            switch octet {
            case UInt8(ascii: "+") where plusIsSpace: result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    return nil
                }
                result.append(high << 4 | low)
            default: result.append(octet)
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
