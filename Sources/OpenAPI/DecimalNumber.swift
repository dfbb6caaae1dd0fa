internal import JSON

/// A number of JSON as it is written: digits and a power of ten. A `Double` of 19.99 is not 1999 times one of 0.01.
struct DecimalNumber: Comparable {
    /// The number is `digits` times ten to the power of `exponent`; `digits` has no zero at its end.
    private let digits: Int
    private let exponent: Int

    /// - Returns: nil for what is not a number, or has more digits than a 64-bit integer.
    init?(_ value: JSONValue) {
        switch value {
        case .integer(let number): self.init(number, 0)
        // The shortest text that is read as the same number: up to 17 digits, the ones that were written.
        case .number(let number): self.init(text: number.description)
        default: return nil
        }
    }

    private init(_ digits: Int, _ exponent: Int) {
        var (digits, exponent) = (digits, digits == 0 ? 0 : exponent)
        while digits != 0, digits % 10 == 0 { (digits, exponent) = (digits / 10, exponent + 1) }
        (self.digits, self.exponent) = (digits, exponent)
    }

    private init?(text: String) {
        let parts = text.lowercased().split(separator: "e", omittingEmptySubsequences: false)
        guard parts.count <= 2, var power = parts.count == 2 ? Int(parts[1]) : 0 else { return nil }
        var mantissa = parts[0]
        if let point = mantissa.firstIndex(of: ".") {
            power -= mantissa.distance(from: point, to: mantissa.endIndex) - 1
            mantissa.remove(at: point)
        }
        guard let digits = Int(mantissa) else { return nil }
        self.init(digits, power)
    }

    static func < (left: DecimalNumber, right: DecimalNumber) -> Bool {
        if left.digits.signum() != right.digits.signum() { return left.digits.signum() < right.digits.signum() }
        let isNegative = left.digits < 0
        // Of numbers with as many digits before the point, the digits decide.
        let (one, other) = (left.magnitude, right.magnitude)
        if one != other { return (one < other) != isNegative }
        let difference = left.exponent - right.exponent
        let (first, second) = (Int128(left.digits), Int128(right.digits))
        return difference >= 0 ? first * Self.power(difference) < second : first < second * Self.power(-difference)
    }

    /// The power of ten of its first digit.
    private var magnitude: Int { String(digits.magnitude).utf8.count + exponent }

    /// Of at most the difference between two numbers of one magnitude: nineteen digits.
    private static func power(_ exponent: Int) -> Int128 { (0..<exponent).reduce(1) { result, _ in result * 10 } }

    /// Whether a whole number times `divisor` is this number.
    func isMultiple(of divisor: DecimalNumber) -> Bool {
        guard divisor.digits != 0, digits != 0 else { return digits == 0 }
        let shift = exponent - divisor.exponent
        guard shift >= 0 else {
            // The divisor is larger by that power; it has no zero at its end, and neither have these digits.
            guard shift > -20 else { return false }
            return Int128(digits) % (Int128(divisor.digits) * Self.power(-shift)) == 0
        }
        let modulus = Int128(divisor.digits.magnitude)
        var rest = Int128(digits.magnitude) % modulus
        for _ in 0..<shift where rest != 0 { rest = rest * 10 % modulus }
        return rest == 0
    }
}
