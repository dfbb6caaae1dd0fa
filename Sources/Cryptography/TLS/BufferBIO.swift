internal import COpenSSL
internal import NIOCore

/// OpenSSL's view of two `ByteBuffer`s: it reads ciphertext from one and appends ciphertext to the other.
final class BufferBIO {
    private var inbound: ByteBuffer
    private var outbound: OutputBuffer

    init(allocator: ByteBufferAllocator) {
        inbound = allocator.buffer(capacity: 0)
        outbound = OutputBuffer(allocator: allocator)
    }

    func receive(_ ciphertext: ByteBuffer) {
        if inbound.readableBytes == 0 {
            inbound = ciphertext
        } else {
            inbound.writeImmutableBuffer(ciphertext)
        }
    }

    /// Whether all ciphertext has been taken.
    var isEmpty: Bool { inbound.readableBytes == 0 }

    /// Lets go of a large buffer of which little or nothing is left, so that the channel can use it again and a connection
    /// that says little holds little.
    func compact() {
        guard inbound.capacity > Self.small else { return }
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
        } else if inbound.readableBytes <= Self.small {
            // Into memory of its own, as large as the rest.
            inbound = ByteBuffer(bytes: inbound.readableBytesView)
        }
    }

    /// Bytes; a whole record of TLS is 16 KiB and some more.
    private static let small = 4096

    func take() -> ByteBuffer? { outbound.take() }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) { unsafe outbound.write(bytes) }

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
