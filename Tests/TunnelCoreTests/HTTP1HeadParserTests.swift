import ConnectorTestSupport
import Testing

@testable import TunnelCore

struct HTTP1HeadParserTests {
    @Test("A reason phrase in Latin-1 is taken, however the bytes arrive")
    func reasonInPieces() throws {
        let head = Array("HTTP/1.1 404 Nicht gef".utf8) + [0xfc] + Array("nden\tx\r\n\r\n".utf8)
        var parser = HTTP1HeadParser(.response)
        for end in 1...head.count {
            let isComplete = try head.prefix(end).withUnsafeBytes { try parser.parse($0) }
            #expect(isComplete == (end == head.count))
        }
        #expect(parser.status == 404)
    }

    static func error(_ text: String) -> HTTP1Error? { HTTP1Verdict(Vectors.bytes(text)).error }

    @Test("A head is read into offsets of its parts")
    func parts() throws {
        var parser = HTTP1HeadParser(.request)
        let bytes = Array("POST /a?b HTTP/1.1\r\nHost: h:1\r\nX-Empty:\r\nContent-Length:  5 \r\n\r\nhello".utf8)
        let isComplete = try bytes.withUnsafeBytes { (bytes) throws(HTTP1Error) in try parser.parse(bytes) }
        #expect(isComplete)
        let text = { (range: Range<Int>) in String(decoding: bytes[range], as: UTF8.self) }
        #expect(text(parser.method) == "POST")
        #expect(text(parser.target) == "/a?b")
        #expect(parser.minorVersion == 1)
        #expect(parser.fieldCount == 3)
        #expect(text(parser[0].name) == "Host")
        #expect(text(parser[0].value) == "h:1")
        #expect(text(parser[1].value) == "")
        #expect(text(parser[2].value) == "5")
        #expect(parser[2].known == .contentLength)
        #expect(parser.headLength == bytes.count - 5)
    }

    @Test("A response head is read, with or without a reason")
    func response() throws {
        for (line, status, reason) in [
            ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.0 404 Not Found", 404, "Not Found"), ("HTTP/1.1 204 ", 204, ""),
            ("HTTP/1.1 599", 599, ""),
        ] as [(String, UInt16, String)] {
            var parser = HTTP1HeadParser(.response)
            let bytes = Array("\(line)\r\nA: b\r\n\r\n".utf8)
            let isComplete = try bytes.withUnsafeBytes { (bytes) throws(HTTP1Error) in try parser.parse(bytes) }
            #expect(isComplete)
            #expect(parser.status == status)
            #expect(String(decoding: bytes[parser.reason], as: UTF8.self) == reason)
        }
    }

    @Test(
        "A malformed status line is refused",
        arguments: [
            "HTTP/1.1 20 OK", "HTTP/1.1 099 X", "HTTP/1.1 600 X", "HTTP/1.1  200 OK", "HTTP/2.0 200 OK", "ICY 200 OK",
            "HTTP/1.1 200OK", "HTTP/1.1 200 O\u{1}K",
        ]
    )
    func malformedStatusLine(_ line: String) {
        var parser = HTTP1HeadParser(.response)
        let bytes = Array("\(line)\r\n\r\n".utf8)
        let result = bytes.withUnsafeBytes { bytes in Result { () throws(HTTP1Error) in try parser.parse(bytes) } }
        #expect(throws: HTTP1Error.self) { try result.get() }
    }

    @Test(
        "Each rule has its own reason",
        arguments: [
            ("GET / HTTP/1.1\nHost: h\r\n\r\n", HTTP1Error.bareLineFeed),
            ("GET / HTTP/1.1\r\nHost: h\rX\r\n\r\n", .bareCarriageReturn),
            ("GET  / HTTP/1.1\r\n\r\n", .invalidStartLine), (" GET / HTTP/1.1\r\n\r\n", .invalidStartLine),
            ("G(T / HTTP/1.1\r\n\r\n", .invalidMethod), ("GET / HTTP/2.0\r\n\r\n", .unsupportedVersion),
            ("GET / http/1.1\r\n\r\n", .invalidVersion), ("GET / HTTP/1.1 \r\n\r\n", .invalidVersion),
            ("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", .tooManyEmptyLines),
            ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", .invalidFieldName),
            ("GET / HTTP/1.1\r\n: b\r\n\r\n", .invalidFieldName),
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", .foldedField),
            ("GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", .invalidFieldValue),
            ("GET / HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaa\u{7F}\r\n\r\n", .invalidFieldValue),
            ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", .repeatedHost),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", .invalidContentLength),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", .invalidContentLength),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .repeatedContentLength),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                .contentLengthAndTransferEncoding
            ),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedTransferEncoding),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                .repeatedTransferEncoding
            ),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInHTTP10),
            ("GET / HTTP/1.1\r\nHost: h\r\nConnection: a b\r\n\r\n", .invalidConnection),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", .unsupportedExpectation),
        ]
    )
    func reasons(_ text: String, _ expected: HTTP1Error) {
        #expect(Self.error(text) == expected)
    }

    @Test("Limits hold at their exact value")
    func limits() {
        func request(target: Int = 1, field: Int = 1, fields: Int = 1) -> String {
            // "GET " and " HTTP/1.1" are thirteen bytes, "X: " is three.
            "GET /" + String(repeating: "a", count: target - 14) + " HTTP/1.1\r\nHost: h\r\n"
                + (0..<fields).map { _ in "X: " + String(repeating: "a", count: field - 3) + "\r\n" }.joined() + "\r\n"
        }
        #expect(Self.error(request(target: 8192, field: 4)) == nil)
        #expect(Self.error(request(target: 8193, field: 4)) == .startLineTooLong)
        #expect(Self.error(request(target: 14, field: 8192)) == nil)
        #expect(Self.error(request(target: 14, field: 8193)) == .fieldLineTooLong)
        #expect(Self.error(request(target: 14, field: 4, fields: 99)) == nil)
        #expect(Self.error(request(target: 14, field: 4, fields: 100)) == .tooManyFields)
        #expect(Self.error(request(target: 14, field: 8000, fields: 9)) == .headTooLarge)
    }

    @Test("How bytes are cut into pieces makes no difference", arguments: HostileVector.all)
    func splitInvariance(_ vector: HostileVector) {
        for isAbsolute in [true, false] {
            let bytes = vector.bytes(isAbsolute: isAbsolute)
            // Sent byte by byte, a long message costs its square.
            guard bytes.count < 4000 else { continue }
            let whole = HTTP1Verdict(bytes)
            for length in [1, 2, 7] {
                let pieces = HTTP1Verdict(bytes, pieceLength: length)
                #expect(pieces.requests == whole.requests)
                #expect((pieces.error == nil) == (whole.error == nil), "\(vector.id) \(length)")
            }
        }
    }
}
