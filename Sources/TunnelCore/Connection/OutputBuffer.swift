package import NIOCore

/// A buffer that is filled, handed to a channel and filled again: its memory serves every message of a connection as
/// long as the channel has written it by the next time, which is the normal case.
package struct OutputBuffer {
    private var buffer: ByteBuffer
    private var isHandedOut = false

    package init(allocator: ByteBufferAllocator) { buffer = allocator.buffer(capacity: 0) }

    package var readableBytes: Int { isHandedOut ? 0 : buffer.readableBytes }
    package var capacity: Int { buffer.capacity }

    @inline(__always)
    private mutating func prepare() {
        guard isHandedOut else { return }
        buffer.clear()
        isHandedOut = false
    }

    /// Everything written since the last time, or nil.
    package mutating func take() -> ByteBuffer? {
        guard !isHandedOut, buffer.readableBytes > 0 else { return nil }
        isHandedOut = true
        return buffer
    }

    /// What was handed out last, for as long as nothing new was written.
    package var lastTaken: ByteBuffer? { isHandedOut ? buffer : nil }

    package mutating func write(_ octets: UnsafeRawBufferPointer) {
        prepare()
        buffer.writeBytes(octets)
    }

    package mutating func write(_ text: StaticString) {
        prepare()
        buffer.writeBytes(text.octets)
    }

    package mutating func write(_ text: String) {
        prepare()
        buffer.writeString(text)
    }

    /// Writes through a raw pointer, for heads that are put together from many small pieces.
    ///
    /// - Parameter body: returns how much it wrote, at most `capacity`.
    package mutating func write(upTo capacity: Int, _ body: (UnsafeMutableRawPointer) -> Int) {
        prepare()
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { body($0.baseAddress!) }
    }

    /// Gives memory back that an idle connection has no use for.
    package mutating func shrink(allocator: ByteBufferAllocator) {
        guard buffer.capacity > 4096, isHandedOut || buffer.readableBytes == 0 else { return }
        buffer = allocator.buffer(capacity: 0)
        isHandedOut = false
    }
}

/// Writes pieces of a head one after the other.
package struct HeadWriter {
    package let start: UnsafeMutableRawPointer
    package private(set) var count = 0

    package init(_ start: UnsafeMutableRawPointer) { self.start = start }

    @inline(__always)
    package mutating func write(_ octets: UnsafeRawBufferPointer) {
        guard let source = octets.baseAddress else { return }
        (start + count).copyMemory(from: source, byteCount: octets.count)
        count += octets.count
    }

    @inline(__always)
    package mutating func write(_ text: StaticString) {
        (start + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    /// `name: value CRLF`.
    @inline(__always)
    package mutating func field(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    package mutating func decimal(_ number: Int) {
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { digits in
            var index = digits.count
            var rest = number
            repeat {
                index -= 1
                digits[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[index...]))
        }
    }

    package mutating func hexadecimal(_ number: Int) {
        var shift = 60
        while shift > 0, number >> shift == 0 { shift -= 4 }
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
            (start + count).storeBytes(of: digit + (digit < 10 ? 48 : 87), as: UInt8.self)
            count += 1
            shift -= 4
        }
    }
}
