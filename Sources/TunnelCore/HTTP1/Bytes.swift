internal import Glibc

/// Byte classes of RFC 9110 section 5.6.2 and 5.5.
package enum Bytes {
    static let cr = UInt8(ascii: "\r")
    static let lf = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let colon = UInt8(ascii: ":")

    /// "t" for each byte that a token may have. Text in the program's constants: one load, no lazy initialisation.
    private static var tokenTable: StaticString {
        """
        ---------------------------------t-ttttt--tt-tt-tttttttttt------\
        -tttttttttttttttttttttttttt---ttttttttttttttttttttttttttttt-t-t-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool { unsafe tokenTable.utf8Start[Int(byte)] == UInt8(ascii: "t") }

    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool {
        byte >= 0x20 ? byte != 0x7F : byte == tab
    }

    /// Of an ASCII letter; every other byte stays as it is.
    @inline(__always)
    package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }

    /// Whether `text` is `lowercase`, without regard to case. `lowercase` has only lower-case ASCII.
    @inline(__always)
    package static func equals(_ text: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard text.count == lowercase.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where unsafe lowercased(text[index]) != lowercase.utf8Start[index] { return false }
        return true
    }

    @inline(__always)
    package static func hasPrefix(_ text: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        unsafe text.count >= lowercase.utf8CodeUnitCount
            && equals(UnsafeRawBufferPointer(rebasing: text[..<lowercase.utf8CodeUnitCount]), lowercase)
    }

    /// Whether both hold the same bytes.
    package static func isEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        guard one.count == other.count else { return false }
        return unsafe one.isEmpty || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0
    }

    /// Whether `text` is `expected`, byte for byte.
    @inline(__always)
    package static func isExactly(_ text: UnsafeRawBufferPointer, _ expected: StaticString) -> Bool {
        guard text.count == expected.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where unsafe text[index] != expected.utf8Start[index] { return false }
        return true
    }

    /// The first byte of `range` that a field value may not have, or nil. Printable ASCII is passed by 32 bytes at a time.
    static func firstInvalid(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index + 32 <= range.upperBound {
            let marks = unsafe unprintable(bytes, index) | unprintable(bytes, index + 16)
            let words = unsafe unsafeBitCast(marks, to: SIMD2<UInt64>.self)
            if (words[0] | words[1]) & 0x8080_8080_8080_8080 != 0 {
                for offset in index..<(index + 32) where unsafe !isFieldValue(bytes[offset]) { return offset }
            }
            index += 32
        }
        while index + 8 <= range.upperBound {
            if unsafe mayBeUnprintable(bytes, index) {
                for offset in index..<(index + 8) where unsafe !isFieldValue(bytes[offset]) { return offset }
            }
            index += 8
        }
        // The last eight overlap with what was seen, and are one look instead of up to seven.
        if range.count >= 8, unsafe !mayBeUnprintable(bytes, range.upperBound - 8) { return nil }
        while index < range.upperBound {
            if unsafe !isFieldValue(bytes[index]) { return index }
            index += 1
        }
        return nil
    }

    /// Whether some of the eight bytes from `index` are outside 0x20 to 0x7E.
    @inline(__always)
    private static func mayBeUnprintable(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        // As below; a carry or borrow into the next byte comes only from one that is marked itself.
        let marks = word | (word &+ 0x0101_0101_0101_0101) | (word &- 0x2020_2020_2020_2020)
        return marks & 0x8080_8080_8080_8080 != 0
    }

    /// Sixteen bytes from `index`; the high bit is set in some exactly when some are outside 0x20 to 0x7E. (Comparing
    /// vectors would be plainer, and is not compiled to vector instructions.)
    @inline(__always)
    private static func unprintable(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> SIMD16<UInt8> {
        let lane = unsafe bytes.loadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
        return lane | (lane &+ 1) | (lane &- 0x20)
    }

    /// Eight bytes, capital letters of ASCII in lower case.
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        // High bit of each byte: at least "A", and above "Z"; where only the first is set it is a capital letter.
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
            let word = unsafe source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            unsafe target.storeBytes(of: lowercased(word), toByteOffset: index, as: UInt64.self)
            index += 8
        }
        let last = source.count - 8
        if last >= 0 {
            let word = unsafe source.loadUnaligned(fromByteOffset: last, as: UInt64.self)
            unsafe target.storeBytes(of: lowercased(word), toByteOffset: last, as: UInt64.self)
            return
        }
        while index < source.count {
            unsafe target.storeBytes(of: lowercased(source[index]), toByteOffset: index, as: UInt8.self)
            index += 1
        }
    }

    /// Without blanks and tabs around it (RFC 9110 section 5.6.3).
    package static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = text.count
        while start < end, unsafe text[start] == space || text[start] == tab { start += 1 }
        while end > start, unsafe text[end - 1] == space || text[end - 1] == tab { end -= 1 }
        return unsafe UnsafeRawBufferPointer(rebasing: text[start..<end])
    }

    /// Digits only, below 2^63 (RFC 9110 section 8.6).
    static func decimal(_ text: UnsafeRawBufferPointer) -> Int? {
        guard unsafe !text.isEmpty, text.count <= 19 else { return nil }
        var value = 0
        for index in 0..<text.count {
            let digit = unsafe text[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }
}
