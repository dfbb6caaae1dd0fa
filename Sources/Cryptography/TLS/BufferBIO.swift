internal import COpenSSL
internal import EpollTransport
internal import NIOCore

/// OpenSSL's view of two `ByteBuffer`s: it reads ciphertext from one and appends ciphertext to the other.
final class BufferBIO {
    private var inbound = ByteBuffer()
    private var outbound = ByteBuffer()
    private let lent: LoopBuffers
    private var isBorrowed = false

    init(_ lent: LoopBuffers) { self.lent = lent }

    func receive(_ ciphertext: ByteBuffer) {
        if inbound.readableBytes == 0 {
            inbound = ciphertext
        } else {
            inbound.writeImmutableBuffer(ciphertext)
        }
    }

    /// Whether all ciphertext has been taken.
    var isEmpty: Bool { inbound.readableBytes == 0 }

    func takeUnread() -> ByteBuffer { exchange(&inbound, with: ByteBuffer()) }

    /// Lets go of the channel's buffer, which is far larger than what can be left in it: a part of a record.
    func compact() {
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
        } else if inbound.capacity > 2 * inbound.readableBytes {
            inbound = ByteBuffer(bytes: inbound.readableBytesView)
        }
    }

    /// Writes into the loop's buffer until `take`.
    func borrow() {
        guard outbound.readableBytes == 0 else { return }
        outbound = exchange(&lent.ciphertext, with: ByteBuffer())
        outbound.clear()
        isBorrowed = true
    }

    /// All ciphertext since the last time, if there is any.
    func take() -> ByteBuffer? {
        let taken = exchange(&outbound, with: ByteBuffer())
        if isBorrowed {
            lent.ciphertext = taken
            isBorrowed = false
        }
        return taken.readableBytes > 0 ? taken : nil
    }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) { unsafe outbound.writeBytes(bytes) }

    fileprivate func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        unsafe inbound.readWithUnsafeReadableBytes { source in
            let count = min(source.count, target.count)
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
            return count
        }
    }

    /// The BIO refers to this object without retaining it; the session that owns both frees the BIO first.
    func makeBIO() -> OpaquePointer? {
        let bio = unsafe BIO_new(Self.method.pointer)
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// Made once and never changed.
    @safe private struct Method: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    private static let method: Method = {
        let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ByteBuffer")
        unsafe BIO_meth_set_write(method) { bio, data, count in
            unsafe COpenSSL_BIO_clear_retry_flags(bio)
            guard let bio = unsafe bio, let data = unsafe data, count > 0 else { return 0 }
            unsafe Unmanaged<BufferBIO>.fromOpaque(BIO_get_data(bio)).takeUnretainedValue()
                .append(UnsafeRawBufferPointer(start: data, count: Int(count)))
            return count
        }
        unsafe BIO_meth_set_read(method) { bio, data, count in
            unsafe COpenSSL_BIO_clear_retry_flags(bio)
            guard let bio = unsafe bio, let data = unsafe data, count > 0 else { return 0 }
            let taken = unsafe Unmanaged<BufferBIO>.fromOpaque(BIO_get_data(bio)).takeUnretainedValue()
                .read(into: UnsafeMutableRawBufferPointer(start: data, count: Int(count)))
            if taken > 0 { return Int32(taken) }
            unsafe COpenSSL_BIO_set_retry_read(bio)
            return -1
        }
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
        return unsafe Method(pointer: method)
    }()
}
