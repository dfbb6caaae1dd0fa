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
        var number: UInt64 = 0
        for index in 0..<15 {
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(byte &- 48)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(byte &- 87)
            default: return nil
            }
        }
        return number
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
