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

    func take() -> ByteBuffer? { outbound.take() }

    fileprivate func append(_ octets: UnsafeRawBufferPointer) { outbound.write(octets) }

    fileprivate func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        inbound.readWithUnsafeReadableBytes { source in
            let count = min(source.count, target.count)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
            return count
        }
    }

    /// The BIO refers to this object without retaining it; the session that owns both frees the BIO first.
    func makeBIO() -> OpaquePointer? {
        let bio = BIO_new(Self.method.pointer)
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    /// Made once and never changed.
    private struct Method: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    private static let method: Method = {
        let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ByteBuffer")
        BIO_meth_set_write(method) { bio, data, count in
            COpenSSL_BIO_clear_retry_flags(bio)
            guard let bio, let data, count > 0 else { return 0 }
            Unmanaged<BufferBIO>.fromOpaque(BIO_get_data(bio)).takeUnretainedValue()
                .append(UnsafeRawBufferPointer(start: data, count: Int(count)))
            return count
        }
        BIO_meth_set_read(method) { bio, data, count in
            COpenSSL_BIO_clear_retry_flags(bio)
            guard let bio, let data, count > 0 else { return 0 }
            let taken = Unmanaged<BufferBIO>.fromOpaque(BIO_get_data(bio)).takeUnretainedValue()
                .read(into: UnsafeMutableRawBufferPointer(start: data, count: Int(count)))
            if taken > 0 { return Int32(taken) }
            COpenSSL_BIO_set_retry_read(bio)
            return -1
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
        return Method(pointer: method)
    }()
}
