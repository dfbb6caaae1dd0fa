internal import NIOCore

/// What a peer's frames may cost us, whatever they say.
///
/// Each frame is charged for when it arrives, before anybody knows what it is good for: by its header, in front of nghttp2,
/// which passes over some kinds of frames in silence. What turns out to carry a request, a response or a part of a body is
/// given back; so is what our own frames give a peer reason to send. A peer that does its work is never short of it, one that
/// only keeps us busy is out of it within one read.
///
/// The unit is about a quarter of a microsecond of a processor's time.
struct FrameBudget: Sendable {
    /// Units that may be saved up; see `HTTP2Configuration.frameBudget`.
    let capacity: Int
    private(set) var left: Int
    private var lastRefill = NIODeadline.uptimeNanoseconds(0)

    /// Units a second, as a part of the capacity.
    private static let refillShare = 4

    init(capacity: Int) {
        self.capacity = capacity
        left = capacity
    }

    enum Cost {
        /// PING, SETTINGS, PRIORITY, empty DATA and frames of unknown type: nothing that happens once per request.
        static let control = 16
        static let reset = 4
        static let windowUpdate = 2
        /// Given back with the first byte that somebody waits for.
        static let data = 2
        /// Of HEADERS, given back if they are those of a request or a response that is awaited.
        static func headers(_ length: Int) -> Int { 4 + length >> 8 }
        /// What a request or response that we send gives the peer reason for: credit, a reset, interim responses.
        static let exchange = 8
        /// What the peer may answer to a DATA frame of ours: credit for the stream and for the connection, in pieces.
        static func dataSent(_ length: Int) -> Int { 4 + length >> 9 }
        /// What may still be on its way for a stream that we give up: a download in small pieces, or a request's body.
        static func abandoned(_ window: Int, _ role: HTTP2Session.Role) -> Int {
            role == .client ? window >> 10 : window >> 13
        }

        /// Of a frame with this header (RFC 9113 section 4.1).
        static func frame(type: UInt8, flags: UInt8, length: Int) -> Int {
            switch type {
            case 0 where length > 0 || flags & 1 != 0: data
            case 1, 9: headers(length)
            case 3: reset
            case 8: windowUpdate
            default: control
            }
        }
    }

    mutating func refill(_ now: NIODeadline) {
        // A quarter of a second is the least that is worth the division.
        let passed = (now - lastRefill).nanoseconds
        guard passed >= 250_000_000 else { return }
        lastRefill = now
        let quarters = min(passed / 250_000_000, Int64(4 * Self.refillShare))
        earn(capacity / Self.refillShare / 4 * Int(quarters))
    }

    mutating func charge(_ cost: Int) { left -= cost }

    /// Asked after a read, when what was useful in it has been given back.
    var isExceeded: Bool { left < 0 }

    @inline(__always)
    mutating func earn(_ units: Int) { left = min(left + units, capacity) }
}

/// Finds the frames in what arrives, however it is cut.
struct FrameScanner: Sendable {
    /// Bytes of the frame in progress, or of the preface, that are still to come.
    private var skip: Int
    /// The part of a header that has arrived.
    private var header: UInt64 = 0
    private var headerCount = 0

    /// - Parameter preface: bytes in front of the first frame (RFC 9113 section 3.4).
    init(preface: Int) { skip = preface }

    /// - Returns: what the frames that begin in `bytes` cost together.
    mutating func cost(_ bytes: UnsafeRawBufferPointer) -> Int {
        var total = 0
        var index = 0
        while index < bytes.count {
            if skip > 0 {
                let count = min(skip, bytes.count - index)
                skip -= count
                index += count
                continue
            }
            // Length, type and flags are five bytes; the four of the stream's ID count as payload.
            header = unsafe header << 8 | UInt64(bytes[index])
            index += 1
            headerCount += 1
            guard headerCount == 5 else { continue }
            let length = Int(header >> 16 & 0xff_ffff)
            total += FrameBudget.Cost.frame(
                type: UInt8(truncatingIfNeeded: header >> 8),
                flags: UInt8(truncatingIfNeeded: header),
                length: length
            )
            skip = 4 + length
            headerCount = 0
        }
        return total
    }
}

/// How many requests the service may give up at once. A connector counts resets like other frames, and must not take the
/// aborts of a hasty client for an attack by the service: beyond this number a stream goes on without a reader until there
/// is room again, and so keeps its place.
struct ResetAllowance: Sendable {
    static let capacity = 1024
    static let perSecond = 256

    private(set) var left = capacity
    private var lastRefill = NIODeadline.uptimeNanoseconds(0)

    mutating func refill(_ now: NIODeadline) {
        let passed = (now - lastRefill).nanoseconds
        guard passed >= 250_000_000 else { return }
        lastRefill = now
        left = min(left + Self.perSecond / 4 * Int(min(passed / 250_000_000, 16)), Self.capacity)
    }

    mutating func take() -> Bool {
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
