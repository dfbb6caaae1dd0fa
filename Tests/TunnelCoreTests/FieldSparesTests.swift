import Testing

@testable import TunnelCore

/// Memory for fields that parsers hand on to each other.
struct FieldSparesTests {
    private static func head(_ fields: Int) -> [UInt8] {
        Array(("GET / HTTP/1.1\r\n" + (0..<fields).map { "x-\($0): \($0)\r\n" }.joined() + "\r\n").utf8)
    }

    private static func parse(_ parser: inout HTTP1HeadParser, _ head: [UInt8]) throws -> Bool {
        try head.withUnsafeBytes { try parser.parse($0) }
    }

    @Test("A parser has memory for fields only while it reads a head, and another one has it next")
    func handedOn() throws {
        let spares = FieldSpares()
        var first = HTTP1HeadParser(.request, spares: spares)
        #expect(try Self.parse(&first, Self.head(3)))
        #expect(spares.count == 0 && first.fieldCount == 3)
        first.reset()
        #expect(spares.count == 1)
        var second = HTTP1HeadParser(.request, spares: spares)
        let head = Self.head(FieldSpares.capacity)
        #expect(try Self.parse(&second, head))
        #expect(spares.count == 0)
        for index in 0..<FieldSpares.capacity {
            #expect(String(decoding: head[second[index].value], as: UTF8.self) == "\(index)")
        }
    }

    @Test("What many fields needed is not kept")
    func grown() throws {
        let spares = FieldSpares()
        var parser = HTTP1HeadParser(.request, spares: spares)
        let head = Self.head(FieldSpares.capacity + 1)
        #expect(try Self.parse(&parser, head))
        #expect(parser.fieldCount == FieldSpares.capacity + 1)
        let last = parser[FieldSpares.capacity]
        #expect(String(decoding: head[last.value], as: UTF8.self) == "\(FieldSpares.capacity)")
        parser.reset()
        #expect(spares.count == 0)
    }

    @Test("A limit below a piece's size stays the limit")
    func fewFields() throws {
        let spares = FieldSpares()
        var parser = HTTP1HeadParser(.request, limits: HTTP1Limits(fields: 4), spares: spares)
        #expect(throws: HTTP1Error.tooManyFields) { _ = try Self.parse(&parser, Self.head(5)) }
    }

    @Test("No more pieces are kept than the limit")
    func limit() {
        let spares = FieldSpares()
        let pieces = (0...FieldSpares.maxCount).map { _ in spares.take() }
        for piece in pieces { spares.giveBack(piece) }
        #expect(spares.count == FieldSpares.maxCount)
    }
}
