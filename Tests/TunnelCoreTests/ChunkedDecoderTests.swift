import ConnectorTestSupport
import Testing

@testable import TunnelCore

struct ChunkedDecoderTests {
    struct Decoded: Equatable {
        var body = ""
        var trailers: [String] = []
        var isFinished = false
        var rest = 0
    }

    static func decode(_ text: String, pieceLength: Int) throws(HTTP1Error) -> Decoded {
        var decoder = ChunkedDecoder(.request)
        var decoded = Decoded()
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count, !decoded.isFinished {
            let end = min(bytes.count, start + pieceLength)
            var failure: HTTP1Error?
            bytes[start..<end].withUnsafeBytes { piece in
                decoder.consumed = 0
                do throws(HTTP1Error) {
                    loop: while true {
                        switch try decoder.next(piece) {
                        case .data(let range): decoded.body += String(decoding: piece[range], as: UTF8.self)
                        case .trailer(let name, let value):
                            let line = decoder.trailerLine
                            decoded.trailers.append(
                                String(decoding: line[name], as: UTF8.self) + "="
                                    + String(decoding: line[value], as: UTF8.self)
                            )
                        case .needMore: break loop
                        case .finished:
                            decoded.isFinished = true
                            break loop
                        }
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
            start += decoder.consumed
        }
        decoded.rest = bytes.count - start
        return decoded
    }

    @Test("A body is decoded the same in whatever pieces it arrives", arguments: [1, 2, 3, 5, 1000])
    func pieces(_ length: Int) throws {
        let text = "5\r\nhello\r\nA;x=y;z;q=\"a b\\\"\"\r\n, world!\r\n\r\n0\r\nX-A:  1 \r\nX-B: 2\r\n\r\nrest"
        let decoded = try Self.decode(text, pieceLength: length)
        #expect(
            decoded
                == Decoded(body: "hello, world!\r\n", trailers: ["X-A=1", "X-B=2"], isFinished: true, rest: 4)
        )
    }

    @Test(
        "What is not exactly chunked is refused",
        arguments: [
            ("5\nhello\r\n", HTTP1Error.bareLineFeed), ("5\rhello", .bareCarriageReturn), ("\r\n", .invalidChunkSize),
            ("0x5\r\n", .invalidChunkSize), ("5 \r\n", .invalidChunkSize), ("-5\r\n", .invalidChunkSize),
            ("10000000000000000\r\n", .invalidChunkSize), ("5\r\nhelloXX", .missingChunkEnd),
            ("5\r\nhello\n", .missingChunkEnd),
            ("5;a=\u{1}\r\n", .invalidChunkSize), ("5; a=b\r\n", .invalidChunkSize), ("5;\r\n", .invalidChunkSize),
            ("5;a=\r\n", .invalidChunkSize), ("5;a=\"b\r\n", .invalidChunkSize), ("5;a=b:c\r\n", .invalidChunkSize),
            ("0\r\nX : y\r\n\r\n", .invalidFieldName), ("0\r\n y\r\n\r\n", .foldedField),
            ("0\r\nX: y\n\r\n", .bareLineFeed), ("0\r\n\rX", .bareCarriageReturn),
        ]
    )
    func malformed(_ text: String, _ expected: HTTP1Error) {
        for length in [1, 1000] {
            #expect(throws: expected) { try Self.decode(text, pieceLength: length) }
        }
    }

    @Test("Size lines, extensions and trailers have their limits")
    func limits() {
        let long = String(repeating: "x", count: 300)
        #expect(throws: HTTP1Error.invalidChunkSize) { try Self.decode("1;\(long)\r\na\r\n", pieceLength: 1000) }
        let extensions = (0..<200).map { _ in "1;\(long.prefix(200))\r\na\r\n" }.joined()
        #expect(throws: HTTP1Error.chunkExtensionTooLong) { try Self.decode(extensions, pieceLength: 1000) }
        let trailers = "0\r\n" + (0..<100).map { "X-\($0): \(long)\r\n" }.joined()
        #expect(throws: HTTP1Error.trailersTooLarge) { try Self.decode(trailers, pieceLength: 1000) }
    }
}
