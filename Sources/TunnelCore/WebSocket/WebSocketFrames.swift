/// Follows the frames of one direction of a WebSocket connection without touching them (RFC 6455 section 5.2), so that a
/// farewell goes where a frame may begin, and nowhere else.
///
///     header (2) ──▶ rest of the header ──▶ payload ──▶ header …
package struct WebSocketFrames: Equatable, Sendable {
    /// Of the header in progress: its first two bytes, and how many bytes of it there are.
    private var first: UInt8 = 0
    private var second: UInt8 = 0
    private var headerBytes = 0
    /// Payload length, as far as it has been read.
    private var length: UInt64 = 0
    /// Bytes of payload that are still to come.
    private var payload: UInt64 = 0
    /// A Close frame has gone by: nothing may follow it.
    package private(set) var isClosed = false

    package init() {}

    /// Whether the next byte begins a frame.
    package var isBetweenFrames: Bool { headerBytes == 0 && payload == 0 }

    /// These bytes go by.
    package mutating func pass(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count {
            if payload > 0 {
                let piece = min(payload, UInt64(bytes.count - index))
                payload -= piece
                index += Int(piece)
            } else {
                unsafe pass(headerByte: bytes[index])
                index += 1
            }
        }
    }

    private mutating func pass(headerByte byte: UInt8) {
        switch headerBytes {
        case 0: first = byte
        case 1: second = byte
        case 2..<(2 + lengthBytes): length = length << 8 | UInt64(byte)
        default: break
        }
        headerBytes += 1
        guard headerBytes >= 2, headerBytes == 2 + lengthBytes + (second & 0x80 == 0 ? 0 : 4) else { return }
        payload = lengthBytes == 0 ? UInt64(second & 0x7F) : length
        if first & 0x0F == 0x8 { isClosed = true }
        headerBytes = 0
        length = 0
    }

    /// Of the extended payload length.
    private var lengthBytes: Int {
        switch second & 0x7F {
        case 126: 2
        case 127: 8
        default: 0
        }
    }

    /// A Close frame (RFC 6455 section 5.5.1).
    ///
    /// - Parameter isMasked: towards a server. A mask of zeros hides nothing, and there is nothing to hide (section 10.3
    ///   is about what scripts choose to send).
    package static func close(_ code: WebSocketCloseCode, isMasked: Bool) -> [UInt8] {
        let status = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
        return isMasked ? [0x88, 0x82, 0, 0, 0, 0] + status : [0x88, 0x02] + status
    }
}

/// Why a WebSocket connection is closed (RFC 6455 section 7.4.1).
package enum WebSocketCloseCode: UInt16, Sendable {
    /// What carries it is going away.
    case goingAway = 1001
    /// It is exposed no more.
    case policyViolation = 1008
}
