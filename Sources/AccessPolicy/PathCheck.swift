/// The rules that keep a path from meaning one thing to the policy and another to a server behind it.
///
/// Servers differ in how often they decode, in what separates segments and in what they cut off a segment. So a path is
/// read as it stands, decoded once and decoded twice, with slash and backslash as borders and with path parameters,
/// trailing dots and blanks ignored; where any reading shows a dot segment, a control character or an overlong UTF-8
/// sequence, the path is refused.
enum PathCheck {
    /// Checks path and query of `text` from `start`.
    ///
    /// - Returns: where the path ends.
    static func check(_ text: Span<UInt8>, from start: Int) throws(RequestTargetError) -> Int {
        var index = start
        var hasEscape = false
        var hasDot = false
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "?") { break }
            guard ASCII.isPathByte(byte) else { throw pathError(byte) }
            if byte == UInt8(ascii: "%") { hasEscape = true }
            if byte == UInt8(ascii: ".") { hasDot = true }
            index += 1
        }
        let pathEnd = index
        while index < text.count {
            let byte = text[index]
            guard byte > 0x20, byte < 0x7F else { throw .invalidByte }
            if byte == UInt8(ascii: "#") { throw .fragment }
            index += 1
        }
        if hasEscape {
            try checkReadings(text, start..<pathEnd)
        } else if hasDot, hasDotSegment(text, start..<pathEnd) {
            throw .dotSegment
        }
        return pathEnd
    }

    private static func pathError(_ byte: UInt8) -> RequestTargetError {
        switch byte {
        case UInt8(ascii: "#"): .fragment
        case 0...0x20, 0x7F...: .invalidByte
        default: .invalidPathCharacter
        }
    }

    private static func checkReadings(_ text: Span<UInt8>, _ path: Range<Int>) throws(RequestTargetError) {
        var index = path.lowerBound
        while index < path.upperBound {
            if text[index] == UInt8(ascii: "%") {
                guard index + 2 < path.upperBound, ASCII.hexValue(text[index + 1]) != nil,
                    ASCII.hexValue(text[index + 2]) != nil
                else { throw .malformedEscape }
                index += 2
            }
            index += 1
        }
        let once = decoded(text, path)
        try checkReading(once.span)
        if once.contains(UInt8(ascii: "%")) {
            try checkReading(decoded(once.span, 0..<once.count).span)
        }
    }

    private static func checkReading(_ reading: Span<UInt8>) throws(RequestTargetError) {
        for index in 0..<reading.count {
            let byte = reading[index]
            if byte < 0x20 || byte == 0x7F { throw .encodedControlCharacter }
            // RFC 3629 section 3: these sequences spell a character longer than needed, a classic way to hide "/" or ".".
            let next = index + 1 < reading.count ? reading[index + 1] : 0
            switch byte {
            case 0xC0, 0xC1: throw .overlongUTF8
            case 0xE0 where (0x80...0x9F).contains(next): throw .overlongUTF8
            case 0xF0 where (0x80...0x8F).contains(next): throw .overlongUTF8
            default: break
            }
        }
        if hasDotSegment(reading, 0..<reading.count) { throw .dotSegment }
    }

    /// Valid escapes are replaced; what is not an escape stays, as lenient decoders leave it.
    private static func decoded(_ text: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        var result = [UInt8]()
        result.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = text[index]
            if byte == UInt8(ascii: "%"), index + 2 < range.upperBound,
                let high = ASCII.hexValue(text[index + 1]), let low = ASCII.hexValue(text[index + 2])
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(byte)
                index += 1
            }
        }
        return result
    }

    /// Whether a segment's name, up to the first ";", consists of dots and blanks with at least one dot.
    static func hasDotSegment(_ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var dots = 0
        var isName = true  // still before ";"
        var isDotsOnly = true
        for index in range {
            switch text[index] {
            case UInt8(ascii: "/"), UInt8(ascii: "\\"):
                if dots > 0, isDotsOnly { return true }
                (dots, isName, isDotsOnly) = (0, true, true)
            case UInt8(ascii: ";"):
                isName = false
            case UInt8(ascii: ".") where isName:
                dots += 1
            case UInt8(ascii: " ") where isName:
                break
            default:
                if isName { isDotsOnly = false }
            }
        }
        return dots > 0 && isDotsOnly
    }
}
