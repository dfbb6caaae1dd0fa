package import NIOCore

/// Memory that whoever is at work on an event loop borrows for the moment. What a connection or a tunnel holds between two
/// messages is its state, not its buffers.
///
/// Who borrows a buffer takes it out, clears it and puts it back. One that somebody still has when it is cleared is replaced by
/// a new one.
package final class LoopBuffers {
    /// What was read from a socket; and from one that is read in large pieces, so that it is not they that are allocated when
    /// somebody keeps a piece of the other.
    var read = ByteBuffer()
    var largeRead = ByteBuffer()
    /// What one TLS record contained.
    package var plaintext = ByteBuffer()
    /// HTTP/2 frames on their way out.
    package var frames = ByteBuffer()
    /// TLS records on their way out.
    package var ciphertext = ByteBuffer()

    private var spares: [ByteBuffer] = []

    package init() {}

    /// Those of an event loop; others than `EpollEventLoop` have none to share.
    package static func of(_ eventLoop: any EventLoop) -> LoopBuffers {
        (eventLoop as? EpollEventLoop)?.buffers ?? LoopBuffers()
    }

    // MARK: Small ones, for longer than a moment

    /// Capacity in bytes. Enough for most heads.
    package static let smallSize = 4096
    /// Of those that nobody has at the moment.
    static let maxSpares = 128

    /// An empty buffer for what is there from a message's first byte to its last.
    package func takeSmall() -> ByteBuffer {
        guard var buffer = spares.popLast() else { return ByteBufferAllocator().buffer(capacity: Self.smallSize) }
        buffer.clear()
        return buffer
    }

    /// Takes a buffer back that `takeSmall` has made. Others, and those that have grown, are let go of.
    package func giveBack(_ buffer: consuming ByteBuffer) {
        guard buffer.capacity == Self.smallSize, spares.count < Self.maxSpares else { return }
        spares.append(buffer)
    }

    var spareCount: Int { spares.count }
}
