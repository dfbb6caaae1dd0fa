import Testing

@testable import TunnelCore

/// What internal hosts write and RFC 9112 lets a recipient take; a request that is written so is refused.
struct LenientResponseTests {
    private struct Head: Equatable {
        var fields: [String] = []
        var isLenient = false
    }

    /// The head in pieces of one size, as the connector forwards it.
    private static func read(_ text: String, pieces: Int, limits: HTTP1Limits = HTTP1Limits()) throws -> Head? {
        var parser = HTTP1HeadParser(.response, limits: limits)
        let bytes = Array(text.utf8)
        for end in stride(from: pieces, to: bytes.count + pieces, by: pieces) {
            let isComplete = try bytes.prefix(end).withUnsafeBytes { try parser.parse($0) }
            guard isComplete else { continue }
            var head = Head(isLenient: parser.isLenient)
            let block = FieldBlock(capacity: 64, fields: 1)
            bytes.withUnsafeBytes { bytes in
                for index in 0..<parser.fieldCount {
                    let field = parser[index]
                    let name = UnsafeRawBufferPointer(rebasing: bytes[field.name])
                    let value = UnsafeRawBufferPointer(rebasing: bytes[field.value])
                    if field.isFolded {
                        block.append(folded: name, value, known: field.known)
                    } else {
                        block.append(name, value, known: field.known)
                    }
                }
            }
            for index in 0..<block.count {
                head.fields.append(
                    String(decoding: block.name(index), as: UTF8.self) + ": "
                        + String(decoding: block.value(index), as: UTF8.self)
                )
            }
            return head
        }
        return nil
    }

    @Test(
        "What a server should not write is read as it is meant",
        arguments: [
            ("HTTP/1.1 200 OK\r\nX-Plant : 1\r\n\r\n", ["x-plant: 1"]),
            ("HTTP/1.1 200 OK\r\nX-Plant \t: 1\r\nA: b\r\n\r\n", ["x-plant: 1", "a: b"]),
            ("HTTP/1.1 200 OK\nA: b\nC: d\n\n", ["a: b", "c: d"]),
            ("HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\n", ["a: b", "c: d"]),
            ("\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", ["a: b"]),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\n\r\n", ["a: b   c  \td"]),
            ("HTTP/1.1 200 OK\r\nA:\r\n b\r\nC: d\r\n\r\n", ["a: b", "c: d"]),
            ("HTTP/1.1 200 OK\nA: b\n c\n\n", ["a: b  c"]),
        ],
        [1, 2, 7, 1000]
    )
    func taken(_ message: (text: String, fields: [String]), pieces: Int) throws {
        let head = try #require(try Self.read(message.text, pieces: pieces))
        #expect(head == Head(fields: message.fields, isLenient: true))
    }

    @Test("What is written as it should be is not lenient")
    func strict() throws {
        let head = try Self.read("HTTP/1.1 200 OK\r\nA:b \r\n\r\n", pieces: 1)
        #expect(head == Head(fields: ["a: b"]))
    }

    @Test(
        "What could be taken for the end of a message, or hide something, stays refused",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 6\r\n\r\n", HTTP1Error.foldedField),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", .foldedField),
            ("HTTP/1.1 200 OK\r\nConnection: a\r\n close\r\n\r\n", .foldedField),
            ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", .foldedField),
            ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", .invalidFieldName),
            ("HTTP/1.1 200 OK\r\n: c\r\n\r\n", .invalidFieldName),
            ("HTTP/1.1 200 OK\r\nA: b\rC\r\n\r\n", .bareCarriageReturn),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\u{1}\r\n\r\n", .invalidFieldValue),
            ("\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", .tooManyEmptyLines),
        ]
    )
    func refused(_ text: String, _ expected: HTTP1Error) {
        #expect(throws: expected) { try Self.read(text, pieces: 1000) }
    }

    @Test(
        "A request that is written so is refused",
        arguments: ["Host : a\r\n", "Host: a\n", "Host: a\r\n b\r\n"]
    )
    func requests(_ fields: String) {
        var parser = HTTP1HeadParser(.request)
        let bytes = Array("GET / HTTP/1.1\r\n\(fields)\r\n".utf8)
        let result = bytes.withUnsafeBytes { bytes in Result { () throws(HTTP1Error) in try parser.parse(bytes) } }
        #expect(throws: HTTP1Error.self) { try result.get() }
    }

    @Test("A folded field is one field within its limit", arguments: [20, 40])
    func foldedLimit(_ limit: Int) throws {
        let limits = HTTP1Limits(startLine: 100, fieldLine: limit, head: 1000, fields: 4)
        let text = "HTTP/1.1 200 OK\r\nA: 123456789\r\n 123456789\r\n 123456789\r\n\r\n"
        let read = Result { try Self.read(text, pieces: 1000, limits: limits) }
        if limit == 40 {
            #expect(try read.get() != nil)
        } else {
            #expect(throws: HTTP1Error.fieldLineTooLong) { try read.get() }
        }
    }

    @Test(
        "As many fields are taken as the limit says, whatever room there was at first",
        arguments: [99, 100, 101, 250, 1000]
    )
    func manyFields(_ count: Int) throws {
        let limits = HTTP1Limits(startLine: 100, fieldLine: 100, head: 65536, fields: 1000)
        let lines = (0..<count).map { "Link: </\($0)>\r\n" }.joined()
        let head = try #require(try Self.read("HTTP/1.1 200 OK\r\n\(lines)\r\n", pieces: 4096, limits: limits))
        #expect(head.fields.count == count && head.fields.last == "link: </\(count - 1)>")
        let more = lines + (count == 1000 ? "A: b\r\n" : "")
        if count == 1000 {
            #expect(throws: HTTP1Error.tooManyFields) {
                try Self.read("HTTP/1.1 200 OK\r\n\(more)\r\n", pieces: 4096, limits: limits)
            }
        }
    }

    // MARK: Chunks

    private static func decode(_ text: String, pieces: Int) throws -> (body: String, isFinished: Bool, isLenient: Bool)
    {
        var reader = HTTP1BodyReader(.chunked, of: .response)
        var (body, waiting): ([UInt8], [UInt8]) = ([], [])
        for start in stride(from: 0, to: text.utf8.count, by: pieces) {
            waiting += Array(text.utf8.dropFirst(start).prefix(pieces))
            reader.rewind()
            try waiting.withUnsafeBytes { bytes in
                while case .data(let range) = try reader.next(bytes) { body += bytes[range] }
            }
            waiting.removeFirst(reader.consumed)
        }
        return (String(decoding: body, as: UTF8.self), reader.isFinished, reader.isLenient)
    }

    @Test(
        "Chunks with blanks after their size, or with lone LFs, are read; their sender gets no second request",
        arguments: [
            "2  \r\nok\r\n0\r\n\r\n", "2\t\r\nok\r\n0\r\n\r\n", "2 ;a=b\r\nok\r\n0\r\n\r\n", "2\nok\n0\n\n",
            "2\r\nok\n0\r\n\r\n", "2\r\nok\r\n0   \r\n\r\n",
        ],
        [1, 3, 100]
    )
    func chunks(_ text: String, pieces: Int) throws {
        let result = try Self.decode(text, pieces: pieces)
        #expect(result.body == "ok" && result.isFinished && result.isLenient)
    }

    @Test("Chunks as they should be are not lenient")
    func strictChunks() throws {
        let result = try Self.decode("2;a=b\r\nok\r\n0\r\nA: b\r\n\r\n", pieces: 1)
        #expect(result.body == "ok" && result.isFinished && !result.isLenient)
    }

    @Test(
        "A wrong chunk is found before anything is used of those before it",
        arguments: ["2\r\nok\r\nx\r\n", "2 2\r\nok", "g"]
    )
    func check(_ text: String) {
        let reader = HTTP1BodyReader(.chunked, of: .response)
        let bytes = Array((text + "\r\n").utf8)
        let result = bytes.withUnsafeBytes { bytes in Result { () throws(HTTP1Error) in try reader.check(bytes) } }
        #expect(throws: HTTP1Error.self) { try result.get() }
    }

    @Test("What is not complete yet is not wrong", arguments: ["", "2", "2\r\no", "2\r\nok\r\n0\r\nA"])
    func incomplete(_ text: String) throws {
        let reader = HTTP1BodyReader(.chunked, of: .response)
        try Array(text.utf8).withUnsafeBytes { try reader.check($0) }
        let isFinished = reader.isFinished
        #expect(!isFinished)
    }
}
