internal import Glibc

/// Octet classes of RFC 9110 section 5.6.2 and 5.5.
package enum Octets {
    static let cr = UInt8(ascii: "\r")
    static let lf = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let colon = UInt8(ascii: ":")

    /// "t" for each octet that a token may have. Text in the program's constants: one load, no lazy initialisation.
    private static var tokenTable: StaticString {
        """
        ---------------------------------t-ttttt--tt-tt-tttttttttt------\
        -tttttttttttttttttttttttttt---ttttttttttttttttttttttttttttt-t-t-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    @inline(__always)
    static func isToken(_ octet: UInt8) -> Bool { tokenTable.utf8Start[Int(octet)] == UInt8(ascii: "t") }

    @inline(__always)
    static func isFieldValue(_ octet: UInt8) -> Bool {
        octet >= 0x20 ? octet != 0x7F : octet == tab
    }

    @inline(__always)
    package static func lowercased(_ octet: UInt8) -> UInt8 {
        octet &- UInt8(ascii: "A") < 26 ? octet | 0x20 : octet
    }

    /// Whether `text` is `lowercase`, without regard to case. `lowercase` has only lower-case ASCII.
    @inline(__always)
    package static func equals(_ text: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard text.count == lowercase.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where lowercased(text[index]) != lowercase.utf8Start[index] { return false }
        return true
    }

    @inline(__always)
    static func hasPrefix(_ text: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        text.count >= lowercase.utf8CodeUnitCount
            && equals(UnsafeRawBufferPointer(rebasing: text[..<lowercase.utf8CodeUnitCount]), lowercase)
    }

    /// Whether both hold the same octets.
    package static func isEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        guard one.count == other.count else { return false }
        return one.isEmpty || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0
    }

    /// Whether `text` is `expected`, octet for octet.
    @inline(__always)
    package static func isExactly(_ text: UnsafeRawBufferPointer, _ expected: StaticString) -> Bool {
        guard text.count == expected.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where text[index] != expected.utf8Start[index] { return false }
        return true
    }

    /// The first octet of `range` that a field value may not have, or nil. Printable ASCII is passed by 32 octets at a time.
    static func firstInvalid(_ octets: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index + 32 <= range.upperBound {
            let marks = unprintable(octets, index) | unprintable(octets, index + 16)
            let words = unsafeBitCast(marks, to: SIMD2<UInt64>.self)
            if (words[0] | words[1]) & 0x8080_8080_8080_8080 != 0 {
                for offset in index..<(index + 32) where !isFieldValue(octets[offset]) { return offset }
            }
            index += 32
        }
        while index + 8 <= range.upperBound {
            let word = octets.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // As below; a carry or borrow into the next octet comes only from one that is marked itself.
            let marks = word | (word &+ 0x0101_0101_0101_0101) | (word &- 0x2020_2020_2020_2020)
            if marks & 0x8080_8080_8080_8080 != 0 {
                for offset in index..<(index + 8) where !isFieldValue(octets[offset]) { return offset }
            }
            index += 8
        }
        while index < range.upperBound {
            if !isFieldValue(octets[index]) { return index }
            index += 1
        }
        return nil
    }

    /// Sixteen octets from `index`; the high bit is set in some exactly when some are outside 0x20 to 0x7E. (Comparing
    /// vectors would be plainer, and is not compiled to vector instructions.)
    @inline(__always)
    private static func unprintable(_ octets: UnsafeRawBufferPointer, _ index: Int) -> SIMD16<UInt8> {
        let lane = octets.loadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
        return lane | (lane &+ 1) | (lane &- 0x20)
    }

    /// Eight octets, capital letters of ASCII in lower case.
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        // High bit of each octet: at least "A", and above "Z"; where only the first is set it is a capital letter.
        let ascii = word & 0x7F7F_7F7F_7F7F_7F7F
        let fromA = ascii &+ 0x3F3F_3F3F_3F3F_3F3F
        let aboveZ = ascii &+ 0x2525_2525_2525_2525
        let capitals = (fromA ^ aboveZ) & 0x8080_8080_8080_8080 & ~word
        return word | (capitals &>> 2)
    }

    /// Copies a field name in lower case.
    @inline(__always)
    static func copyLowercased(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
        var index = 0
        while index + 8 <= source.count {
            let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            target.storeBytes(of: lowercased(word), toByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < source.count {
            target.storeBytes(of: lowercased(source[index]), toByteOffset: index, as: UInt8.self)
            index += 1
        }
    }

    static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = text.count
        while start < end, text[start] == space || text[start] == tab { start += 1 }
        while end > start, text[end - 1] == space || text[end - 1] == tab { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: text[start..<end])
    }

    /// Digits only, below 2^63 (RFC 9110 section 8.6).
    static func decimal(_ text: UnsafeRawBufferPointer) -> Int? {
        guard !text.isEmpty, text.count <= 19 else { return nil }
        var value = 0
        for octet in text {
            let digit = octet &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }
}

extension StaticString {
    /// The octets, which live as long as the process.
    @inline(__always)
    package var octets: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
