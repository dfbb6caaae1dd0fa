import Testing

@testable import TunnelCore

struct HTTP1BodyReaderTests {
    /// What a reader makes of a connection's bytes that come in pieces of a size.
    ///
    /// - Returns: the body, whether it is finished, and what is left over.
    private static func read(
        _ framing: BodyFraming,
        _ text: String,
        pieces: Int
    ) throws -> (body: String, isFinished: Bool, rest: String, trailers: String?) {
        var reader = HTTP1BodyReader(framing, of: .request)
        var (body, waiting): ([UInt8], [UInt8]) = ([], [])
        for start in stride(from: 0, to: text.utf8.count, by: pieces) {
            waiting += Array(text.utf8.dropFirst(start).prefix(pieces))
            reader.rewind()
            try waiting.withUnsafeBytes { bytes in
                while case .data(let range) = try reader.next(bytes) { body += bytes[range] }
            }
            waiting.removeFirst(reader.consumed)
        }
        let trailers = reader.trailers?.text("x-sum")
        return (
            String(decoding: body, as: UTF8.self), reader.isFinished, String(decoding: waiting, as: UTF8.self), trailers
        )
    }

    @Test("A length ends where it says, and what follows is left for the next message", arguments: [1, 2, 3, 100])
    func length(pieces: Int) throws {
        let result = try Self.read(.length(5), "helloGET /", pieces: pieces)
        #expect(result.body == "hello" && result.isFinished && result.rest == "GET /")
    }

    @Test("Chunks end with their last one and its trailers", arguments: [1, 2, 3, 100])
    func chunks(pieces: Int) throws {
        let result = try Self.read(.chunked, "3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\nnext", pieces: pieces)
        #expect(result.body == "hello" && result.isFinished && result.rest == "next" && result.trailers == "1")
    }

    @Test("A trailer that has no business in one is dropped")
    func trailers() throws {
        let result = try Self.read(.chunked, "0\r\nHost: x\r\nX-Sum: 2\r\n\r\n", pieces: 100)
        #expect(result.trailers == "2" && result.isFinished)
    }

    @Test("A body up to the end of the connection takes everything and never finishes by itself", arguments: [1, 100])
    func untilClose(pieces: Int) throws {
        let result = try Self.read(.untilClose, "anything\r\n0\r\n\r\n", pieces: pieces)
        #expect(result.body == "anything\r\n0\r\n\r\n" && !result.isFinished && result.rest.isEmpty)
        let readers = [BodyFraming.untilClose, .chunked].map { HTTP1BodyReader($0, of: .response).endsWithConnection }
        #expect(readers == [true, false])
    }

    @Test("No body, and one of no bytes, are finished from the start", arguments: [BodyFraming.none, .length(0)])
    func empty(_ framing: BodyFraming) throws {
        let result = try Self.read(framing, "next", pieces: 4)
        #expect(result.body.isEmpty && result.isFinished && result.rest == "next")
    }

    @Test("A body that is not all there is not finished", arguments: [BodyFraming.length(6), .chunked])
    func incomplete(_ framing: BodyFraming) throws {
        let result = try Self.read(framing, framing == .chunked ? "5\r\nhello\r\n" : "hello", pieces: 100)
        #expect(result.body == "hello" && !result.isFinished)
    }

    @Test("What is not exactly chunked is an error")
    func broken() {
        #expect(throws: HTTP1Error.self) { try Self.read(.chunked, "5\nhello", pieces: 100) }
    }
}
