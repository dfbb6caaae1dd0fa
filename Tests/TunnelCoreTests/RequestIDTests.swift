import Testing

@testable import TunnelCore

/// The ID that ties an answer to its lines in the logs of both sides.
struct RequestIDTests {
    private static func id(_ text: String) -> RequestID? { Array(text.utf8).withUnsafeBytes { RequestID($0) } }

    private static func written(_ id: RequestID) -> String {
        var bytes = [UInt8](repeating: 0, count: RequestID.capacity)
        let count = bytes.withUnsafeMutableBytes { id.write(to: $0.baseAddress!) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    @Test("Made ones have fifteen digits, differ, and are written as they are described")
    func made() {
        var generator = RequestIDGenerator(prefix: 0xffff_ffff)
        let ids = (0..<1000).map { _ in generator.next() }
        #expect(Set(ids.map(\.description)).count == 1000)
        for id in ids {
            #expect(id.description.utf8.count == 15 && id.description.allSatisfy { $0.isHexDigit && !$0.isUppercase })
            #expect(Self.written(id) == id.description)
        }
        var other = RequestIDGenerator(prefix: 1)
        #expect(other.next().description == "000000100000001")
    }

    @Test(
        "A client's own is taken as it is where it is one word",
        arguments: [
            "a", "0af7651916cd43dd8448eb211c80319c", "5d0e7f1c-2b6a-4c39-8f57-9e1a3b5c7d90", "a/b:c=d@e",
            "A.b_c~d!#$%&'*+^`|",
        ]
    )
    func own(_ text: String) throws {
        let id = try #require(Self.id(text))
        #expect(id.description == text && Self.written(id) == text)
        #expect(id == Self.id(text) && id != Self.id(text + "x"))
    }

    @Test("One that looks as if it were made here is the same again, whatever stands at which place")
    func looksMade() throws {
        for text in ["000000100000001", "fffffffffffffff", "0123456789abcde", "fedcba987654321"] {
            #expect(try #require(Self.id(text)).description == text)
            for place in 0..<15 {
                for byte in UInt8(0)..<128 {
                    var bytes = Array(text.utf8)
                    bytes[place] = byte
                    let id = bytes.withUnsafeBytes { RequestID($0) }
                    if let id { #expect(Array(id.description.utf8) == bytes && Array(Self.written(id).utf8) == bytes) }
                    let isOne = Bytes.isToken(byte) || ":/=@".utf8.contains(byte)
                    if (id != nil) != isOne { Issue.record("\(byte) at \(place)") }
                }
            }
        }
    }

    @Test(
        "What could be read as more than one word is not",
        arguments: [
            "", " ", "a b", "a\tb", "a\"b", "a\\b", "a,b", "a;b", "a\r\nb", "ä", "a\u{0}",
            String(repeating: "x", count: 129),
        ]
    )
    func refused(_ text: String) { #expect(Self.id(text) == nil) }

    @Test("The longest is written whole")
    func longest() throws {
        let text = String(repeating: "x", count: RequestID.limit)
        #expect(Self.written(try #require(Self.id(text))) == text)
    }
}
