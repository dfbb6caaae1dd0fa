internal import EpollTransport
internal import NIOCore

/// Body bytes on their way into frames, in order. One buffer, the normal case, needs no further memory.
struct BufferQueue {
    private var first: ByteBuffer?
    private var others: [ByteBuffer] = []

    /// Small pieces share a buffer; a large one gets its own, in one copy.
    mutating func append(copying bytes: UnsafeRawBufferPointer, _ session: HTTP2Session) {
        if others.isEmpty, first != nil, first!.writableBytes >= bytes.count {
            unsafe first!.writeBytes(bytes)
        } else if let last = others.last, last.writableBytes >= bytes.count {
            unsafe others[others.count - 1].writeBytes(bytes)
        } else {
            var buffer =
                bytes.count <= LoopBuffers.smallSize
                ? session.buffers.takeSmall() : session.allocator.buffer(capacity: bytes.count)
            unsafe buffer.writeBytes(bytes)
            append(buffer)
        }
    }

    mutating func append(_ buffer: ByteBuffer) {
        if first == nil { first = buffer } else { others.append(buffer) }
    }

    /// - Precondition: the queue holds at least `bytes`.
    mutating func move(_ bytes: Int, into output: inout ByteBuffer, _ session: HTTP2Session) {
        var rest = bytes
        while rest > 0 {
            let available = first!.readableBytes
            let count = min(available, rest)
            unsafe first!.readWithUnsafeReadableBytes { bytes in
                unsafe output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                return count
            }
            rest -= count
            if count == available { removeFirst(session) }
        }
    }

    private mutating func removeFirst(_ session: HTTP2Session) {
        if let buffer = first.take() { session.buffers.giveBack(buffer) }
        first = others.isEmpty ? nil : others.removeFirst()
    }

    var all: [ByteBuffer] { (first.map { [$0] } ?? []) + others }

    mutating func removeAll() {
        first = nil
        others.removeAll()
    }
}
