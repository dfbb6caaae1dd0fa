/// Host and port of a request, as byte ranges of the text they were read from (RFC 3986 section 3.2).
///
/// The host is compared without regard to case, the port exactly; an absent or empty port is 80.
package struct RequestAuthority: Sendable, Equatable {
    package var host: Range<Int>
    package var port: UInt16

    /// Reads `host [":" [port]]` from `range` of `text`.
    ///
    /// Names are taken as they stand: no DNS, no IDNA, no percent-decoding; what needs one of these is refused.
    package init(_ text: Span<UInt8>, in range: Range<Int>) throws(RequestTargetError) {
        guard !range.isEmpty else { throw .emptyHost }
        var end = range.upperBound
        var portStart: Int?
        var index = range.lowerBound
        if text[index] == UInt8(ascii: "[") {
            (end, portStart) = try Self.scanLiteral(text, in: range)
        } else {
            var labelLength = 0
            scan: while index < range.upperBound {
                let byte = text[index]
                switch byte {
                case UInt8(ascii: ":"):
                    (end, portStart) = (index, index + 1)
                    break scan
                case UInt8(ascii: "."):
                    // A single trailing dot is another name to the policy, never an alias; an empty label is not a name.
                    guard labelLength > 0 else { throw .invalidHost }
                    labelLength = 0
                case UInt8(ascii: "@"):
                    throw .userInformation
                case UInt8(ascii: "_"):
                    throw .underscoreInHost
                default:
                    guard ASCII.isHostByte(byte) else { throw .invalidHost }
                    labelLength += 1
                    if labelLength > 63 { throw .hostTooLong }
                }
                index += 1
            }
        }
        guard end > range.lowerBound else { throw .emptyHost }
        guard end - range.lowerBound <= 255 else { throw .hostTooLong }
        self.host = range.lowerBound..<end
        self.port = 80
        if let portStart, portStart < range.upperBound {
            self.port = try Self.scanPort(text, in: portStart..<range.upperBound)
        }
    }

    private static func scanLiteral(
        _ text: Span<UInt8>,
        in range: Range<Int>
    ) throws(RequestTargetError) -> (end: Int, portStart: Int?) {
        var index = range.lowerBound + 1
        while index < range.upperBound, text[index] != UInt8(ascii: "]") {
            let byte = text[index]
            guard ASCII.hexValue(byte) != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") else {
                throw .invalidHost
            }
            index += 1
        }
        guard index < range.upperBound, index > range.lowerBound + 1 else { throw .invalidHost }
        index += 1
        if index == range.upperBound { return (index, nil) }
        guard text[index] == UInt8(ascii: ":") else { throw .invalidHost }
        return (index, index + 1)
    }

    private static func scanPort(_ text: Span<UInt8>, in range: Range<Int>) throws(RequestTargetError) -> UInt16 {
        guard range.count <= 5, text[range.lowerBound] != UInt8(ascii: "0") else {
            // User information also looks like a port ("user:secret@host"): say what it is.
            for index in range where text[index] == UInt8(ascii: "@") { throw .userInformation }
            throw .invalidPort
        }
        var value = 0
        for index in range {
            let byte = text[index]
            if byte == UInt8(ascii: "@") { throw .userInformation }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { throw .invalidPort }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        guard let port = UInt16(exactly: value) else { throw .invalidPort }
        return port
    }

    /// Whether both name the same system: hosts without regard to case, ports exactly.
    package static func sameSystem(
        _ left: RequestAuthority,
        in leftText: Span<UInt8>,
        _ right: RequestAuthority,
        in rightText: Span<UInt8>
    ) -> Bool {
        guard left.port == right.port, left.host.count == right.host.count else { return false }
        for offset in 0..<left.host.count {
            let a = ASCII.lowercased(leftText[left.host.lowerBound + offset])
            let b = ASCII.lowercased(rightText[right.host.lowerBound + offset])
            if a != b { return false }
        }
        return true
    }
}
