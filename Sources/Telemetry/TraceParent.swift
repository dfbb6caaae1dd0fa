internal import TextFormats
internal import Tracing

/// The `traceparent` of a request (W3C Trace Context section 3.2), as far as it says where a span belongs.
package struct TraceParent: Sendable, Equatable {
    /// 32 and 16 hexadecimal digits, lower case.
    package var traceID: String
    package var spanID: String
    package var isSampled: Bool

    /// - Returns: nil for anything but version 00 as the standard has it, or a later one that begins like it.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 55, unsafe bytes.count == 55 || bytes[55] == UInt8(ascii: "-") else { return nil }
        for index in 0..<55 {
            let byte = unsafe bytes[index]
            switch index {
            case 2, 35, 52: guard byte == UInt8(ascii: "-") else { return nil }
            default:
                let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                guard isDigit || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f") else { return nil }
            }
        }
        let text = unsafe String(decoding: bytes.prefix(55), as: UTF8.self)
        guard !text.hasPrefix("ff"), bytes.count == 55 || !text.hasPrefix("00") else { return nil }
        traceID = String(text.dropFirst(3).prefix(32))
        spanID = String(text.dropFirst(36).prefix(16))
        guard traceID.contains(where: { $0 != "0" }), spanID.contains(where: { $0 != "0" }) else { return nil }
        isSampled = (Hexadecimal.bytes(String(text.suffix(2)))?.first ?? 0) & 1 == 1
    }
}

/// Where the parent of a span is kept in a context.
package enum TraceParentKey: ServiceContextKey {
    package typealias Value = TraceParent
}
