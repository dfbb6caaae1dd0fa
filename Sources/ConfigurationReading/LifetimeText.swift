/// Lives of certificates in the form 90d, 12h, 10m, 30s.
package enum LifetimeText {
    /// - Returns: seconds, from 1 to ten years.
    package static func parse(_ text: String) -> Int? {
        for (unit, factor) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)] where text.hasSuffix(unit) {
            guard let number = Int(text.dropLast()), (1...315_360_000).contains(number) else { return nil }
            return number * factor <= 3650 * 86400 ? number * factor : nil
        }
        return nil
    }
}
