import ConnectorTestSupport
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import TunnelCore

/// Our HTTP/1.1 codec against NIOHTTP1's (llhttp) on the same bytes. Every difference has its reason here.
struct DifferentialTests {
    /// We refuse, NIOHTTP1 takes it.
    static let stricter: [HTTP1Error: String] = [
        .bareLineFeed: "llhttp skips line feeds before the request line",
        .invalidContentLength: "2^63 and above would not fit our counters; llhttp counts to 2^64",
        .missingHost: "RFC 9112 section 3.2 demands Host; a parser leaves that to the server",
        .repeatedHost: "two Host fields let two servers choose differently (RFC 9112 section 3.2)",
        .invalidStartLine: "more than one space, or bytes that no target may have, before the version",
        .invalidMethod: "a method must be a token",
        .invalidVersion: "llhttp also reads RTSP and ICE, and lets space trail",
        .methodTooLong: "a limit of ours",
        .startLineTooLong: "SAP's limit of 8192 bytes; NIOHTTP1 takes 80 KiB",
        .fieldLineTooLong: "SAP's limit of 8192 bytes; NIOHTTP1 takes 80 KiB",
        .headTooLarge: "64 KiB in all; NIOHTTP1 takes 2 MiB",
        .tooManyFields: "a hundred; NIOHTTP1 takes 256",
        .tooManyEmptyLines: "two at most; llhttp skips any number",
        .unsupportedTransferEncoding: "only chunked alone can be framed safely; llhttp takes lists and empty values",
        .repeatedTransferEncoding: "as above, over two fields",
        .transferEncodingInHTTP10: "RFC 9112 section 6.1: HTTP/1.0 has none",
        .repeatedContentLength: "equal values too: whoever sends two did not mean one",
        .bareCarriageReturn: "llhttp skips a CR before the request line",
        .chunkExtensionTooLong: "a limit of ours",
        .invalidChunkSize: "a size line of at most 256 bytes and no blanks in it",
        .trailersTooLarge: "a limit of ours",
        .foldedField: "in a trailer",
        .unsupportedExpectation: "RFC 9110 section 10.1.1: 417",
        .invalidConnection: "Connection holds tokens",
        .contentLengthAndTransferEncoding: "llhttp lets an empty Transfer-Encoding stand beside a Content-Length",
        .invalidFieldValue: "a control character in the middle of a value",
    ]

    /// NIOHTTP1 refuses, we take it: reasons by vector.
    static let laxer: [String: String] = [
        "RL-29": "as RL-30; the entry itself refuses methods in lower case",
        "CH-35": "a trailer that looks like framing is dropped, not refused; RFC 9110 section 6.5.1 allows both",
        "CS-03": "NIOHTTP1 complains of bytes after the last request; we never read them",
        "RL-30": "llhttp knows a fixed list of methods; the policy does not look at methods",
    ]

    enum NIOVerdict: Equatable { case accepts, refuses }

    static func nio(_ bytes: [UInt8]) -> NIOVerdict {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        do {
            try channel.pipeline.syncOperations.addHandler(
                ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes))
            )
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            return .accepts
        } catch {
            return .refuses
        }
    }

    @Test("Each difference between the two parsers is known and has a reason", arguments: HostileVector.all)
    func verdicts(_ vector: HostileVector) {
        let bytes = vector.bytes(isAbsolute: true)
        let ours = HTTP1Verdict(bytes)
        switch (ours.error, Self.nio(bytes)) {
        case (nil, .accepts), (.some, .refuses): break
        case (let error?, .accepts):
            #expect(Self.stricter[error] != nil, "\(vector.id): we refuse (\(error)), NIOHTTP1 does not")
        case (nil, .refuses) where ours.badTarget != nil: break
        case (nil, .refuses):
            #expect(Self.laxer[vector.id] != nil, "\(vector.id): NIOHTTP1 refuses, we do not")
        }
    }

    @Test("Random changes to good requests never make us laxer than NIOHTTP1 about where a message ends")
    func mutations() {
        var generator = SeededGenerator(seed: 9112)
        let seeds = [
            "POST http://h/ok HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST http://h/ok HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
        ].map { Array($0.utf8) }
        let bytes: [UInt8] = Array("\r\n\t :;,+-0159afgGx\0\u{7F}".utf8)
        var taken = 0
        for _ in 0..<20_000 {
            var request = seeds.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let index = Int.random(in: 0..<request.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: request[index] = bytes.randomElement(using: &generator)!
                case 1: request.insert(bytes.randomElement(using: &generator)!, at: index)
                default: request.remove(at: index)
                }
            }
            let ours = HTTP1Verdict(request)
            // llhttp knows a fixed list of methods, which is no question of framing.
            let hasKnownMethods = ours.requests.allSatisfy { $0.hasPrefix("GET ") || $0.hasPrefix("POST ") }
            guard ours.error == nil, ours.badTarget == nil, hasKnownMethods else { continue }
            taken += 1
            // What is left over must be the beginning of a message that is not complete, to both.
            // A tab may follow a value (RFC 9110 section 5.5); llhttp does not take one after a length or coding.
            let hasTrailingTab = request.indices.dropLast().contains { request[$0] == 9 && request[$0 + 1] == 13 }
            #expect(
                Self.nio(request) == .accepts || ours.isIncomplete || hasTrailingTab,
                "\(String(decoding: request, as: UTF8.self))"
            )
        }
        #expect(taken > 1000)
    }
}
