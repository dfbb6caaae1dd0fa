import Testing

@testable import TunnelCore

/// How the end of a message is found (RFC 9112 section 6), and what is refused because somebody else on the path could read it
/// otherwise.
struct BodyFramingTests {
    private static func request(_ fields: String, version: String = "1.1") throws -> HTTP1HeadParser.RequestFraming {
        var parser = HTTP1HeadParser(.request)
        let bytes = Array("POST / HTTP/\(version)\r\n\(fields)\r\n".utf8)
        return try bytes.withUnsafeBytes { bytes in
            _ = try parser.parse(bytes)
            return try parser.requestFraming(bytes)
        }
    }

    private static func response(
        _ fields: String,
        status: Int = 200,
        version: String = "1.1",
        isHead: Bool = false
    ) throws -> HTTP1HeadParser.ResponseFraming {
        var parser = HTTP1HeadParser(.response)
        let bytes = Array("HTTP/\(version) \(status) X\r\n\(fields)\r\n".utf8)
        return try bytes.withUnsafeBytes { bytes in
            _ = try parser.parse(bytes)
            return try parser.responseFraming(bytes, isHead: isHead)
        }
    }

    private static let host = "Host: a\r\n"

    @Test(
        "A request's body has a length, or chunks, or is none",
        arguments: [
            ("", BodyFraming.none), ("Content-Length: 5\r\n", .length(5)), ("Content-Length: 0\r\n", .none),
            ("Content-Length: 00005\r\n", .length(5)), ("Transfer-Encoding: chunked\r\n", .chunked),
            ("transfer-encoding: Chunked\r\n", .chunked),
        ]
    )
    func requestBodies(_ fields: String, _ expected: BodyFraming) throws {
        #expect(try Self.request(Self.host + fields).body == expected)
    }

    @Test(
        "What two readers could take for two things is refused by name",
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", HTTP1Error.repeatedContentLength),
            ("Content-Length: 5, 5\r\n", .invalidContentLength), ("Content-Length: +5\r\n", .invalidContentLength),
            ("Content-Length: 0x5\r\n", .invalidContentLength), ("Content-Length: \r\n", .invalidContentLength),
            ("Content-Length: 99999999999999999999\r\n", .invalidContentLength),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .contentLengthAndTransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", .unsupportedTransferEncoding),
            ("Transfer-Encoding: identity\r\n", .unsupportedTransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .repeatedTransferEncoding),
            ("Expect: 200-ok\r\n", .unsupportedExpectation), ("Host: b\r\n", .repeatedHost),
        ]
    )
    func ambiguous(_ fields: String, _ expected: HTTP1Error) {
        #expect(throws: expected) { try Self.request(Self.host + fields) }
    }

    @Test("HTTP/1.0 has no chunks, and needs no Host; HTTP/1.1 needs one")
    func versions() throws {
        #expect(throws: HTTP1Error.transferEncodingInHTTP10) {
            try Self.request("Transfer-Encoding: chunked\r\n", version: "1.0")
        }
        #expect(try Self.request("", version: "1.0").host == nil)
        #expect(throws: HTTP1Error.missingHost) { try Self.request("") }
    }

    @Test(
        "A connection is kept by default in HTTP/1.1, on request in HTTP/1.0, and never against its client's word",
        arguments: [
            ("1.1", "", true), ("1.1", "Connection: close\r\n", false), ("1.1", "Connection: Close, X\r\n", false),
            ("1.0", "", false), ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false), ("1.1", "Connection: keep-alive\r\n", true),
        ]
    )
    func keepAlive(_ version: String, _ fields: String, _ expected: Bool) throws {
        #expect(try Self.request(Self.host + fields, version: version).isKeptAlive == expected)
    }

    @Test("A name that looks like a length and is not one decides nothing")
    func underscore() throws {
        #expect(try Self.request(Self.host + "Content_Length: 5\r\n").body == .none)
        #expect(try Self.request(Self.host + "Transfer_Encoding: chunked\r\n").body == .none)
    }

    @Test("An upgrade is one only if Connection says so as well")
    func upgrades() throws {
        let both = try Self.request(Self.host + "Upgrade: websocket\r\nConnection: Upgrade\r\n")
        let half = try Self.request(Self.host + "Upgrade: websocket\r\n")
        let other = try Self.request(Self.host + "Upgrade: h2c\r\nConnection: upgrade\r\n")
        #expect(both.isWebSocketUpgrade && !half.isWebSocketUpgrade && !other.isWebSocketUpgrade)
    }

    @Test("Connection may name fields that are between hops")
    func nominated() throws {
        #expect(try Self.request(Self.host + "Connection: x-hop\r\n").nominatesFields)
        #expect(try !Self.request(Self.host + "Connection: close, keep-alive\r\n").nominatesFields)
    }

    @Test(
        "A response's body ends by length, by its last chunk, or with the connection",
        arguments: [
            ("Content-Length: 5\r\n", BodyFraming.length(5)), ("Transfer-Encoding: chunked\r\n", .chunked),
            ("", .untilClose), ("Content-Length: 5\r\nContent-Length: 5\r\n", .length(5)),
            ("Content-Length: 5, 5\r\n", .length(5)), ("Content-Length: 5,5 , 5\r\n", .length(5)),
            ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", .length(5)),
            ("Transfer-Encoding: identity\r\n", .untilClose),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .chunked),
        ]
    )
    func responseBodies(_ fields: String, _ expected: BodyFraming) throws {
        #expect(try Self.response(fields).body == expected)
    }

    @Test("Some responses never have a body, whatever they declare", arguments: [100, 103, 204, 304])
    func bodiless(_ status: Int) throws {
        #expect(try Self.response("Content-Length: 5\r\n", status: status).body == .none)
    }

    @Test("A HEAD's answer declares a length and has no body")
    func head() throws {
        let framing = try Self.response("Content-Length: 5\r\n", isHead: true)
        #expect(framing.body == .none && framing.contentLength == 5)
    }

    @Test(
        "A response that two readers could take for two things is refused",
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 6\r\n", HTTP1Error.repeatedContentLength),
            ("Content-Length: x\r\n", .invalidContentLength),
            ("Content-Length: 5, 6\r\n", .invalidContentLength), ("Content-Length: -5\r\n", .invalidContentLength),
            ("Transfer-Encoding: gzip\r\n", .unsupportedTransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", .unsupportedTransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .repeatedTransferEncoding),
        ]
    )
    func ambiguousResponses(_ fields: String, _ expected: HTTP1Error) {
        #expect(throws: expected) { try Self.response(fields) }
    }

    @Test("A body to the end of the connection keeps no connection")
    func untilClose() throws {
        #expect(try !Self.response("").isKeptAlive && Self.response("Content-Length: 1\r\n").isKeptAlive)
        #expect(try !Self.response("Content-Length: 1\r\n", version: "1.0").isKeptAlive)
    }

    @Test(
        "Where no body can follow, nothing that is said about one is an error",
        arguments: [
            "Content-Length: x\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", "Transfer-Encoding: gzip\r\n",
        ]
    )
    func bodilessNonsense(_ fields: String) throws {
        for status in [103, 204, 304] {
            let framing = try Self.response(fields, status: status)
            #expect(framing.body == .none && framing.contentLength == nil)
        }
        #expect(try Self.response(fields, isHead: true).body == .none)
    }

    @Test("A 204 and an interim response go on without their length; a 304 and a HEAD's answer keep it")
    func lengths() throws {
        for (status, expected) in [(100, nil), (103, nil), (204, nil), (205, 2), (304, 2), (200, 2)] as [(Int, Int?)] {
            #expect(try Self.response("Content-Length: 2\r\n", status: status).contentLength == expected, "\(status)")
        }
        #expect(try Self.response("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n").contentLength == nil)
    }

    @Test(
        "A connection is kept as long as the internal host says, and not for a message that two could count in two ways",
        arguments: [
            ("Keep-Alive: timeout=5\r\n", true, 5), ("Keep-Alive: timeout=5, max=100\r\n", true, 5),
            ("Keep-Alive: max=0, timeout=60\r\n", false, 60), ("keep-alive: TIMEOUT = x\r\n", true, nil),
            ("Keep-Alive: timeout=0\r\n", true, 0), ("Connection: close\r\n", false, nil),
            ("Connection: a b\r\n", false, nil), ("Transfer-Encoding: chunked\r\n", false, nil), ("", true, nil),
        ] as [(String, Bool, Int?)]
    )
    func keepAlive(_ fields: String, _ isKept: Bool, _ seconds: Int?) throws {
        let framing = try Self.response("Content-Length: 1\r\n" + fields)
        #expect(framing.isKeptAlive == isKept && framing.keepAlive == seconds)
    }
}
