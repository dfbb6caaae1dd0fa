internal import NIOCore

/// Body octets on their way into frames, in order. One buffer, the normal case, needs no further memory.
struct BufferQueue {
    private var first: ByteBuffer?
    private var others: [ByteBuffer] = []

    /// Small pieces share a buffer; a large one gets its own, in one copy.
    mutating func append(copying octets: UnsafeRawBufferPointer, _ session: HTTP2Session) {
        if others.isEmpty, first != nil, first!.writableBytes >= octets.count {
            first!.writeBytes(octets)
        } else if let last = others.last, last.writableBytes >= octets.count {
            others[others.count - 1].writeBytes(octets)
        } else {
            var buffer =
                octets.count <= HTTP2Session.smallBuffer
                ? session.smallBuffer() : session.allocator.buffer(capacity: octets.count)
            buffer.writeBytes(octets)
            append(buffer)
        }
    }

    mutating func append(_ buffer: ByteBuffer) {
        if first == nil { first = buffer } else { others.append(buffer) }
    }

    /// - Precondition: the queue holds at least `octets`.
    mutating func move(_ octets: Int, into output: inout ByteBuffer, _ session: HTTP2Session) {
        var rest = octets
        while rest > 0 {
            let available = first!.readableBytes
            let count = min(available, rest)
            first!.readWithUnsafeReadableBytes { bytes in
                output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                return count
            }
            rest -= count
            if count == available { removeFirst(session) }
        }
    }

    private mutating func removeFirst(_ session: HTTP2Session) {
        if let buffer = first { session.recycle(buffer) }
        first = others.isEmpty ? nil : others.removeFirst()
    }

    var all: [ByteBuffer] { (first.map { [$0] } ?? []) + others }

    mutating func removeAll() {
        first = nil
        others.removeAll()
    }
}
