/// Times in the form 500ms, 30s, 5m, 1h.
package enum DurationText {
    /// - Returns: nanoseconds; nil for anything else, and beyond what 64 bits hold.
    package static func nanoseconds(_ text: String) -> Int64? {
        for (unit, nanoseconds) in [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ] as [(String, Int64)] where text.hasSuffix(unit) {
            guard let number = Int64(text.dropLast(unit.count)), number >= 0, number <= 1_000_000_000 else { continue }
            let (product, overflow) = number.multipliedReportingOverflow(by: nanoseconds)
            return overflow ? nil : product
        }
        return nil
    }

    /// In seconds, or in milliseconds where it is not a whole number of them.
    package static func format(nanoseconds: Int64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
