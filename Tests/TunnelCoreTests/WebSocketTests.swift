import Testing
import TunnelCore

struct WebSocketTests {
    @Test("The key of RFC 6455 has the answer of RFC 6455; own keys are valid, and no two are the same")
    func key() {
        #expect(WebSocketKey.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let (one, other) = (WebSocketKey.make(), WebSocketKey.make())
        #expect(WebSocketKey.isValid(one) && WebSocketKey.isValid(other) && one != other)
        for wrong in ["", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZSE=", "not base64 at all, is it."] {
            #expect(!WebSocketKey.isValid(wrong), "\(wrong)")
        }
    }

    private static func frame(_ first: UInt8, _ payload: Int, isMasked: Bool) -> [UInt8] {
        let mark: UInt8 = isMasked ? 0x80 : 0
        let length: [UInt8] =
            switch payload {
            case ..<126: [mark | UInt8(payload)]
            case ..<65536: [mark | 126, UInt8(payload >> 8), UInt8(payload & 255)]
            default: [mark | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload >> (56 - 8 * $0)) }
            }
        return [first] + length + (isMasked ? [9, 9, 9, 9] : []) + [UInt8](repeating: 0x88, count: payload)
    }

    @Test(
        "Frames of each length form end where they end, in whatever pieces they come",
        arguments: [1, 2, 3, 7, 4096, 1 << 20]
    )
    func boundaries(_ piece: Int) {
        var all: [UInt8] = []
        var ends: Set<Int> = [0]
        for payload in [0, 1, 125, 126, 127, 65535, 65536] {
            for isMasked in [false, true] {
                all += Self.frame(0x82, payload, isMasked: isMasked)
                ends.insert(all.count)
            }
        }
        var frames = WebSocketFrames()
        var position = 0
        while position < all.count {
            let next = min(position + piece, all.count)
            all[position..<next].withUnsafeBytes { frames.pass($0) }
            position = next
            #expect(frames.isBetweenFrames == ends.contains(position), "\(position)")
        }
        #expect(!frames.isClosed)
    }

    @Test("A Close frame is seen, and what is made here is one", arguments: [false, true])
    func close(_ isMasked: Bool) {
        var frames = WebSocketFrames()
        let frame = WebSocketFrames.close(.goingAway, isMasked: isMasked)
        #expect(frame.suffix(2) == [0x03, 0xE9] && frame[0] == 0x88)
        frame.withUnsafeBytes { frames.pass($0) }
        #expect(frames.isClosed && frames.isBetweenFrames)
    }
}
