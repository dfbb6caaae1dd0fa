package import EpollTransport
package import NIOCore
internal import TextFormats

/// A buffer that is filled, handed to a channel and filled again, as often as a message needs, and then released: its memory is
/// the event loop's, and serves one connection after the other as long as the channel has written it by the next time, which is
/// the normal case.
package struct OutputBuffer {
    private var buffer = ByteBuffer()
    private var isHandedOut = false
    private let lender: LoopBuffers

    /// - Parameter lender: of the event loop.
    package init(_ lender: LoopBuffers = LoopBuffers()) { self.lender = lender }

    package var readableBytes: Int { isHandedOut ? 0 : buffer.readableBytes }
    package var capacity: Int { buffer.capacity }

    @inline(__always)
    private mutating func prepare() {
        if buffer.capacity == 0 { buffer = lender.takeSmall() }
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

    package mutating func write(_ bytes: UnsafeRawBufferPointer) {
        prepare()
        unsafe buffer.writeBytes(bytes)
    }

    package mutating func write(_ text: StaticString) {
        prepare()
        unsafe buffer.writeBytes(text.bytes)
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
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { unsafe body($0.baseAddress!) }
    }

    /// Gives its memory back, where nothing in it is still to be taken: an idle connection has no use for it.
    package mutating func release() {
        guard isHandedOut || buffer.readableBytes == 0 else { return }
        lender.giveBack(exchange(&buffer, with: ByteBuffer()))
        isHandedOut = false
    }
}

/// Writes pieces of a head one after the other.
@unsafe package struct HeadWriter {
    package let start: UnsafeMutableRawPointer
    package private(set) var count = 0

    package init(_ start: UnsafeMutableRawPointer) { unsafe self.start = unsafe start }

    @inline(__always)
    package mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        unsafe (start + count).copyMemory(from: source, byteCount: bytes.count)
        unsafe count += bytes.count
    }

    @inline(__always)
    package mutating func write(_ text: StaticString) {
        unsafe (start + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        unsafe count += text.utf8CodeUnitCount
    }

    /// `name: value CRLF`.
    @inline(__always)
    package mutating func field(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        unsafe write(name)
        unsafe write(": ")
        unsafe write(value)
        unsafe write("\r\n")
    }

    package mutating func decimal(_ number: Int) {
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        unsafe withUnsafeMutableBytes(of: &digits) { digits in
            var index = digits.count
            var rest = number
            repeat {
                index -= 1
                unsafe digits[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            unsafe write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[index...]))
        }
    }

    package mutating func hexadecimal(_ number: Int) {
        var shift = 60
        while shift > 0, number >> shift == 0 { shift -= 4 }
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
            unsafe (start + count).storeBytes(of: digit + (digit < 10 ? 48 : 87), as: UInt8.self)
            unsafe count += 1
            shift -= 4
        }
    }
}
