import NIOCore
import Testing

@testable import EpollTransport

/// Small buffers that connections hand on to each other.
struct LoopBuffersTests {
    private static func address(_ buffer: ByteBuffer) -> Int {
        buffer.withVeryUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    }

    @Test("A buffer that was given back is the next one's, empty")
    func reused() {
        let buffers = LoopBuffers()
        var first = buffers.takeSmall()
        first.writeString("left over")
        let address = Self.address(first)
        buffers.giveBack(first)
        first = ByteBuffer()
        let second = buffers.takeSmall()
        #expect(Self.address(second) == address && second.readableBytes == 0)
        #expect(second.capacity == LoopBuffers.smallSize)
    }

    @Test("A buffer that somebody still has is replaced: nobody's bytes change under him")
    func stillHeld() {
        let buffers = LoopBuffers()
        var held = buffers.takeSmall()
        held.writeString("still on its way")
        buffers.giveBack(held)
        var next = buffers.takeSmall()
        next.writeString("others")
        #expect(String(buffer: held) == "still on its way")
        #expect(Self.address(next) != Self.address(held))
    }

    @Test("A buffer that has grown is let go of, and so is one above the limit")
    func limits() {
        let buffers = LoopBuffers()
        var grown = buffers.takeSmall()
        grown.writeRepeatingByte(1, count: LoopBuffers.smallSize + 1)
        buffers.giveBack(grown)
        #expect(buffers.spareCount == 0)
        let many = (0..<LoopBuffers.maxSpares + 1).map { _ in buffers.takeSmall() }
        for buffer in many { buffers.giveBack(buffer) }
        #expect(buffers.spareCount == LoopBuffers.maxSpares)
    }
}
