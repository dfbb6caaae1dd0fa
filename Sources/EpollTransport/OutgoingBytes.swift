internal import Glibc
internal import NIOCore

/// What a connection has to send: written, flushed, and then as much at once as the kernel takes.
struct OutgoingBytes {
    private struct Piece {
        var bytes: ByteBuffer
        var promise: EventLoopPromise<Void>?
    }

    enum Progress: Equatable {
        /// Nothing that was flushed is left.
        case done
        /// The kernel takes no more for now.
        case blocked
        /// The connection is broken: an error number.
        case failed(CInt)
    }

    /// The normal case is one piece, which needs no memory but its own.
    private var first: Piece?
    private var others: [Piece] = []
    /// Pieces that may go.
    private var flushed = 0
    /// Bytes that wait, flushed or not.
    private(set) var count = 0

    private var pieces: Int { first == nil ? 0 : 1 + others.count }
    var isEmpty: Bool { first == nil }

    mutating func append(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        count += bytes.readableBytes
        if first == nil {
            first = Piece(bytes: bytes, promise: promise)
        } else {
            others.append(Piece(bytes: bytes, promise: promise))
        }
    }

    mutating func flush() { flushed = pieces }

    /// - Parameter completed: promises of what has gone, for the caller to keep once it is done with its own state.
    mutating func send(to descriptor: CInt, _ completed: inout [EventLoopPromise<Void>]) -> Progress {
        while flushed > 0 {
            let sent = flushed == 1 ? sendFirst(descriptor) : sendSome(descriptor)
            guard sent >= 0 else {
                switch errno {
                case EINTR: continue
                case EAGAIN: return .blocked
                default: return .failed(errno)
                }
            }
            take(sent, &completed)
        }
        return .done
    }

    private func sendFirst(_ descriptor: CInt) -> Int {
        guard let first, first.bytes.readableBytes > 0 else { return 0 }
        return unsafe first.bytes.withUnsafeReadableBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
        }
    }

    /// The buffers stay where they are for as long as `first` and `others` hold them.
    private func sendSome(_ descriptor: CInt) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            var used = 0
            for index in 0..<min(flushed, vectors.count) {
                let piece = index == 0 ? first! : others[index - 1]
                unsafe piece.bytes.withUnsafeReadableBytes {
                    unsafe vectors[used] = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress),
                        iov_len: $0.count
                    )
                }
                used += 1
            }
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = used
            return unsafe sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
        }
    }

    /// Empty pieces count as sent with what stands before them.
    private mutating func take(_ sent: Int, _ completed: inout [EventLoopPromise<Void>]) {
        var rest = sent
        count -= sent
        while flushed > 0, first!.bytes.readableBytes <= rest {
            rest -= first!.bytes.readableBytes
            if let promise = first!.promise { completed.append(promise) }
            first = others.isEmpty ? nil : others.removeFirst()
            flushed -= 1
        }
        if rest > 0 { first!.bytes.moveReaderIndex(forwardBy: rest) }
    }

    /// Gives everything up.
    mutating func removeAll() -> [EventLoopPromise<Void>] {
        let promises = ([first].compactMap(\.self) + others).compactMap(\.promise)
        self = OutgoingBytes()
        return promises
    }
}
