/// Percent-encoding (RFC 3986 section 2.1).
package enum PercentText {
    /// Nil where an escape is broken or the bytes are not UTF-8 (RFC 3986 section 2.1).
    package static func decode(_ text: String) -> String? { decode(text.utf8) }

    /// Escapes everything but unreserved characters.
    package static func encode(_ text: String) -> String { encode(text) { byte, _ in isUnreserved(byte) } }

    /// - Parameters:
    ///   - isUppercase: of the digits of escapes; RFC 3986 prefers capitals.
    ///   - isKept: whether a byte stays as it is, given where it stands.
    package static func encode(
        _ text: String,
        isUppercase: Bool = true,
        keeping isKept: (_ byte: UInt8, _ index: Int) -> Bool
    ) -> String {
        text.utf8.enumerated().map { index, byte in
            isKept(byte, index)
                ? String(UnicodeScalar(byte))
                : (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: isUppercase)
        }.joined()
    }

    /// RFC 3986 section 2.3.
    package static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// Undoes "%20" and, where it is asked for, "+".
    package static func decode(_ bytes: some Collection<UInt8>, plusIsSpace: Bool = false) -> String? {
        var result: [UInt8] = []
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+") where plusIsSpace: result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    return nil
                }
                result.append(high << 4 | low)
            default: result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
