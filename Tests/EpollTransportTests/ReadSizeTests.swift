import Testing

@testable import EpollTransport

struct ReadSizeTests {
    @Test("Who has more than fits gets more at once, up to the largest, and as before once there is little")
    func grows() {
        var size = ReadSize(64 << 10)
        #expect(size.current == 64 << 10)
        size.took(64 << 10)
        #expect(size.current == 128 << 10)
        size.took(100 << 10)
        #expect(size.current == 128 << 10, "enough of it is used")
        size.took(128 << 10)
        size.took(256 << 10)
        size.took(256 << 10)
        #expect(size.current == ReadSize.largest)
        size.took((64 << 10) - 1)
        #expect(size.current == 64 << 10)
        size.took(64 << 10)
        size.took(-1)
        #expect(size.current == 64 << 10)
    }

    @Test("One that reads less than is usual, such as a tunnel that has shown no certificate, does not grow")
    func small() {
        var size = ReadSize(4096)
        size.took(4096)
        #expect(size.current == 4096)
        var largest = ReadSize(1 << 20)
        largest.took(1 << 20)
        #expect(largest.current == 1 << 20)
    }
}
