import NIOCore
import Testing

@testable import TunnelCore

/// What a peer does with frames that serve no request, and what it may do with those that do.
struct HTTP2FloodTests {
    /// RFC 9113 section 4.1.
    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 0xff), UInt8(length >> 8 & 0xff), UInt8(length & 0xff), type, flags]
            + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload
    }

    static let ping = frame(6, [UInt8](repeating: 7, count: 8))
    static let windowUpdate = frame(8, [0, 0, 0, 1])
    static let windowUpdateOfStream = frame(8, stream: 1, [0, 0, 0, 1])
    static let settings = frame(4)
    static let unknown = frame(0x7f)
    static let padding = frame(0, flags: 8, stream: 1, [UInt8](repeating: 255, count: 256))
    static let emptyData = frame(0, stream: 1)
    static let reset = frame(3, stream: 1, [0, 0, 0, 8])
    /// `:status: 103`, literal without indexing.
    static let interim = frame(1, flags: 4, stream: 1, [0x08, 3, 0x31, 0x30, 0x33])

    /// A pair with one request under way, as stream 1.
    static func pair(_ configuration: HTTP2Configuration = HTTP2Configuration()) throws -> (
        SessionPair, RecordingReceiver
    ) {
        let pair = SessionPair(configuration)
        try pair.exchange()
        let (_, receiver) = try pair.request(isEnd: false)
        try pair.exchange()
        return (pair, receiver)
    }

    static func flood(_ frame: [UInt8], _ count: Int = 20_000) -> ByteBuffer {
        var buffer = ByteBuffer()
        for _ in 0..<count { buffer.writeBytes(frame) }
        return buffer
    }

    @Test(
        "A connector that sends frames without end ends its session, whatever they are",
        arguments: [ping, windowUpdate, settings, unknown, padding, emptyData, interim]
    )
    func connectorFlood(_ frame: [UInt8]) throws {
        let (pair, receiver) = try Self.pair()
        defer { pair.close() }
        receiver.returnsCredit = false
        #expect(throws: HTTP2Error.self) { try pair.deliver(Self.flood(frame), to: pair.client) }
    }

    @Test("So do frames for a stream that is closed", arguments: [reset, interim, padding, windowUpdateOfStream])
    func closedStreamFlood(_ frame: [UInt8]) throws {
        let (pair, _) = try Self.pair()
        defer { pair.close() }
        try pair.deliver(ByteBuffer(bytes: Self.reset), to: pair.client)
        #expect(throws: HTTP2Error(.flood, "")) { try pair.deliver(Self.flood(frame), to: pair.client) }
    }

    @Test("A service that opens and resets requests without end ends its session; 1,000 at once are no flood")
    func rapidReset() throws {
        let pair = SessionPair()
        defer { pair.close() }
        try pair.exchange()
        func open(_ count: Int, from first: UInt32) -> ByteBuffer {
            var buffer = ByteBuffer()
            for index in 0..<UInt32(count) {
                let id = first + 2 * index
                // :method GET, :scheme http, :path /, :authority empty: all from the static table but the last.
                buffer.writeBytes(Self.frame(1, flags: 5, stream: id, [0x82, 0x86, 0x84, 0x01, 1, 0x61]))
                buffer.writeBytes(Self.frame(3, stream: id, [0, 0, 0, 8]))
            }
            return buffer
        }
        try pair.deliver(open(1000, from: 1), to: pair.server)
        #expect(pair.accepted.count == 1000)
        #expect(throws: HTTP2Error(.flood, "")) { try pair.deliver(open(5000, from: 2001), to: pair.server) }
    }

    @Test(
        "Requests that are turned away for want of a place earn nothing: opening and resetting them is a flood all the same"
    )
    func refusedRapidReset() throws {
        let pair = SessionPair()
        defer { pair.close() }
        pair.refuses = true
        try pair.exchange()
        var buffer = ByteBuffer()
        for index in 0..<UInt32(6000) {
            buffer.writeBytes(Self.frame(1, flags: 5, stream: 1 + 2 * index, [0x82, 0x86, 0x84, 0x01, 1, 0x61]))
            buffer.writeBytes(Self.frame(3, stream: 1 + 2 * index, [0, 0, 0, 8]))
        }
        #expect(throws: HTTP2Error(.flood, "")) { try pair.deliver(buffer, to: pair.server) }
    }

    @Test("A peer that answers requests never runs out, however many there are and however it gives credit")
    func work() throws {
        let pair = SessionPair()
        defer { pair.close() }
        try pair.exchange()
        for round in 0..<3000 {
            let (stream, receiver) = try pair.request(isEnd: false)
            HTTP2SessionTests.send([UInt8](repeating: 1, count: 100), on: stream)
            try pair.exchange()
            let served = try #require(pair.accepted.last)
            pair.accepted.removeLast()
            // As some implementations do: credit in pieces, an interim response, an early end, trailers.
            try pair.deliver(ByteBuffer(bytes: Self.windowUpdate + Self.windowUpdate), to: pair.client)
            served.stream.send(interim: HTTP2SessionTests.response(103))
            served.stream.send(head: HTTP2SessionTests.response(), isEnd: false)
            HTTP2SessionTests.send([2], on: served.stream)
            served.stream.finish(trailers: nil)
            try pair.exchange()
            #expect(receiver.isEnded, "round \(round)")
            stream.cancel(.cancel)
        }
    }

    @Test("Downloads that are given up while much is on its way cost the tunnel nothing")
    func abandonedDownloads() throws {
        let pair = SessionPair(HTTP2Configuration(streamWindow: 256 << 10))
        defer { pair.close() }
        try pair.exchange()
        var requests: [HTTP2Stream] = []
        for _ in 0..<100 { requests.append(try pair.request().0) }
        try pair.exchange()
        for accepted in pair.accepted {
            accepted.stream.send(head: HTTP2SessionTests.response(), isEnd: false)
            HTTP2SessionTests.send([UInt8](repeating: 0, count: 200 << 10), on: accepted.stream)
        }
        let underWay = try #require(try pair.server.produce(limit: 64 << 20))
        for stream in requests { stream.cancel(.cancel) }
        try pair.deliver(underWay, to: pair.client)
        try pair.exchange()
        #expect(throws: Never.self) { try pair.request() }
    }

    @Test("Interim responses beyond the limit end the request, not the tunnel")
    func interimResponses() throws {
        let (pair, receiver) = try Self.pair(HTTP2Configuration(interimResponses: 16))
        defer { pair.close() }
        try pair.deliver(Self.flood(Self.interim, 16), to: pair.client)
        #expect(receiver.failure == nil && receiver.interim.count == 16)
        try pair.deliver(Self.flood(Self.interim, 1), to: pair.client)
        #expect(receiver.failure == .tooManyInterimResponses && receiver.interim.count == 16)
        try pair.exchange()
        #expect(pair.client.streamCount == 0)
        #expect(throws: Never.self) { try pair.request() }
    }

    @Test("A service gives requests up no faster than a connector takes it, and all of them in the end")
    func postponedResets() throws {
        let pair = SessionPair(HTTP2Configuration(maxConcurrentStreams: 3000))
        defer { pair.close() }
        try pair.exchange()
        var streams: [HTTP2Stream] = []
        for _ in 0..<2000 { streams.append(try pair.request().0) }
        try pair.exchange()
        for stream in streams { stream.cancel(.cancel) }
        try pair.exchange()
        #expect(pair.server.streamCount == 2000 - ResetAllowance.capacity)
        #expect(pair.postponed == 1)
        for second in 1...8 {
            pair.client.timePassed(.uptimeNanoseconds(UInt64(second) * 1_000_000_000))
            try pair.exchange()
        }
        #expect(pair.server.streamCount == 0 && pair.client.streamCount == 0)
    }

    @Test("Whoever ends a session from within one of its frames waits until the library has returned")
    func endWithinCallback() throws {
        let (pair, _) = try Self.pair()
        defer { pair.close() }
        let receiver = EndingReceiver(pair.client)
        let fields = FieldBlock()
        fields.append(":method", "GET")
        fields.append(":scheme", "http")
        fields.append(":authority", "a")
        fields.append(":path", "/")
        _ = try pair.client.openStream(fields, isEnd: true, receiver: receiver)
        try pair.exchange()
        // Head and body for stream 3, then more for both streams, in one read.
        let head = Self.frame(1, flags: 4, stream: 3, [0x88])
        let data = Self.frame(0, stream: 3, [1, 2, 3])
        try pair.deliver(ByteBuffer(bytes: head + data + Self.interim + data), to: pair.client)
        #expect(receiver.answers == [false, false, false], "within a callback there is no proof")
        #expect(pair.client.isAtRest)
    }
}

/// Asks in each call whether the session can be ended.
private final class EndingReceiver: StreamReceiver {
    private unowned let session: HTTP2Session
    private(set) var answers: [Bool] = []

    init(_ session: HTTP2Session) { self.session = session }

    private func ask() { answers.append(session.isAtRest) }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) { ask() }
    func streamReceived(interim fields: FieldBlock) { ask() }
    func streamReceived(body: UnsafeRawBufferPointer) { ask() }
    func streamReceivedEnd(trailers: FieldBlock?) { ask() }
    func streamFailed(_ failure: StreamError) {}
    func streamBecameWritable() {}
    func streamBatchEnded() {}
}
