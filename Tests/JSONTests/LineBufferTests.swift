import Testing

@testable import JSON

struct LineBufferTests {
    @Test("Lines come out whole, however their bytes arrive", arguments: 1...7)
    func pieces(_ size: Int) throws {
        let bytes = Array("one\n\ntwo two\nthree".utf8)
        var buffer = LineBuffer(limit: 100)
        var lines: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            lines += try piece.withUnsafeBytes { try buffer.append($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(lines == ["one", "", "two two"])
    }

    @Test("A line that does not end is refused at the limit")
    func limit() throws {
        var buffer = LineBuffer(limit: 10)
        let piece = Array("0123456789".utf8)
        #expect(try piece.withUnsafeBytes { try buffer.append($0) }.isEmpty)
        #expect(throws: LineTooLongError.self) { try piece.withUnsafeBytes { try buffer.append($0) } }
    }
}
