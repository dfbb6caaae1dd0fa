/// Makes IDs that tie an answer to its log line: unique for years, and nothing to guess from.
package struct RequestIDGenerator: Sendable {
    private let prefix: UInt64
    private var counter: UInt32 = 0

    package init(prefix: UInt32 = .random(in: 0 ... .max)) { self.prefix = UInt64(prefix & 0xFFF_FFFF) << 32 }

    /// Another one each time, for four billion times.
    package mutating func next() -> RequestID {
        counter &+= 1
        return RequestID(number: prefix | UInt64(counter))
    }
}

/// Ties an answer to its lines in the logs of both sides.
package struct RequestID: Sendable, Equatable, CustomStringConvertible {
    private var number: UInt64
    /// As the client named it.
    private var own: String?

    fileprivate init(number: UInt64) { self.number = number }

    /// Bytes of an ID that a client may choose.
    package static let limit = 128

    /// - Parameter text: of `X-Request-ID` or `X-CorrelationID`, or of the service.
    /// - Returns: nil for what could be read as more than one word somewhere.
    package init?(_ text: UnsafeRawBufferPointer) {
        if let number = unsafe Self.number(text) {
            (self.number, own) = (number, nil)
            return
        }
        guard unsafe !text.isEmpty, text.count <= Self.limit else { return nil }
        for index in 0..<text.count where unsafe !Self.isAllowed(text[index]) { return nil }
        (number, own) = (0, unsafe String(decoding: text, as: UTF8.self))
    }

    /// Of one that a generator has made: nearly all are, and their text needs not be kept.
    private static func number(_ text: UnsafeRawBufferPointer) -> UInt64? {
        guard text.count == 15 else { return nil }
        // Eight digits and seven, of which the first is a zero that was not there.
        guard let low = unsafe eight(text.loadUnaligned(fromByteOffset: 7, as: UInt64.self).bigEndian),
            let high = unsafe eight(text.loadUnaligned(as: UInt64.self).bigEndian >> 8 | 0x30 << 56)
        else { return nil }
        return high << 32 | low
    }

    /// The value of eight hexadecimal digits in lower case, the first of which is in the highest byte; all at once.
    private static func eight(_ text: UInt64) -> UInt64? {
        let high: UInt64 = 0x8080_8080_8080_8080
        guard text & high == 0 else { return nil }
        // The high bit of each byte: it is at least "0", above "9", at least "a", above "f".
        let (from0, above9) = (text &+ 0x5050_5050_5050_5050, text &+ 0x4646_4646_4646_4646)
        let (fromA, aboveF) = (text &+ 0x1F1F_1F1F_1F1F_1F1F, text &+ 0x1919_1919_1919_1919)
        guard (from0 & ~above9 | fromA & ~aboveF) & high == high else { return nil }
        // A letter's low four bits begin with one.
        var value = (text & 0x0F0F_0F0F_0F0F_0F0F) &+ ((fromA & high) &>> 7) &* 9
        value = (value | value &>> 4) & 0x00FF_00FF_00FF_00FF
        value = (value | value &>> 8) & 0x0000_FFFF_0000_FFFF
        return (value | value &>> 16) & 0xFFFF_FFFF
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        Bytes.isToken(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "=")
            || byte == UInt8(ascii: "@")
    }

    /// Fifteen hexadecimal digits, which a `String` holds without memory of its own; or the client's text.
    package var description: String {
        if let own { return own }
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 15 - digits.count) + digits
    }

    /// Bytes that `write` needs at most.
    package static let capacity = max(limit, 15)

    /// Writes it to `target`.
    ///
    /// - Returns: bytes written.
    package func write(to target: UnsafeMutableRawPointer) -> Int {
        if var own {
            return own.withUTF8 { text in
                if let base = text.baseAddress { unsafe target.copyMemory(from: base, byteCount: text.count) }
                return text.count
            }
        }
        for index in 0..<15 {
            let digit = UInt8(truncatingIfNeeded: number &>> UInt64(56 - index * 4)) & 15
            unsafe target.storeBytes(of: digit + (digit < 10 ? 48 : 87), toByteOffset: index, as: UInt8.self)
        }
        return 15
    }
}
