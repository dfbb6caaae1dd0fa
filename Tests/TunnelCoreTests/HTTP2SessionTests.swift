import NIOCore
import Testing

@testable import TunnelCore

/// Two sessions joined by buffers: what one produces, the other receives.
final class SessionPair: HTTP2SessionDelegate {
    let client: HTTP2Session
    let server: HTTP2Session
    var accepted: [(stream: HTTP2Stream, receiver: RecordingReceiver)] = []
    var drainedBy: Int32?
    /// Every request is turned away.
    var refuses = false
    /// How often it was asked for more time.
    var postponed = 0
    /// When bytes arrive.
    var now = NIODeadline.uptimeNanoseconds(0)

    init(_ configuration: HTTP2Configuration = HTTP2Configuration(), dialect: TunnelDialect = .standard) {
        client = HTTP2Session(.client, configuration: configuration, dialect: dialect)
        server = HTTP2Session(.server, configuration: configuration, dialect: dialect)
        client.delegate = self
        server.delegate = self
    }

    /// Ends the cycle of references.
    func close() {
        for session in [client, server] {
            guard let proof = session.atRest else { continue }
            session.failAll(.tunnelClosed, proof)
        }
        client.delegate = nil
        server.delegate = nil
    }

    /// Passes bytes back and forth until both are silent.
    func exchange() throws(HTTP2Error) {
        while true {
            let toServer = try client.produce(limit: 1 << 20)
            if let toServer { try deliver(toServer, to: server) }
            let toClient = try server.produce(limit: 1 << 20)
            if let toClient { try deliver(toClient, to: client) }
            if toServer == nil, toClient == nil { return }
        }
    }

    func deliver(_ buffer: ByteBuffer, to session: HTTP2Session) throws(HTTP2Error) {
        try buffer.withUnsafeReadableBytes { (bytes) throws(HTTP2Error) in
            try session.receive(bytes, now: now)
        }
        session.endBatch()
    }

    func request(_ path: String = "/", isEnd: Bool = true) throws -> (HTTP2Stream, RecordingReceiver) {
        let fields = FieldBlock()
        fields.append(":method", isEnd ? "GET" : "POST")
        fields.append(":scheme", "http")
        fields.append(":authority", "host")
        fields.append(":path", path)
        let receiver = RecordingReceiver()
        let stream = try client.openStream(fields, isEnd: isEnd, receiver: receiver)
        receiver.stream = stream
        return (stream, receiver)
    }

    func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
        guard !refuses else { return nil }
        let receiver = RecordingReceiver()
        receiver.stream = stream
        accepted.append((stream, receiver))
        return receiver
    }

    func sessionNeedsFlush(_ session: HTTP2Session) {}
    func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64) {}
    func sessionReceivedSettings(_ session: HTTP2Session) {}
    func sessionPostponesResets(_ session: HTTP2Session) { postponed += 1 }

    func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway) {
        drainedBy = goAway.lastStreamID
    }
}

final class RecordingReceiver: StreamReceiver {
    weak var stream: HTTP2Stream?
    var returnsCredit = true
    var head: [String] = []
    var interim: [String] = []
    var body: [UInt8] = []
    var trailers: [String]?
    var isEnded = false
    var failure: StreamError?
    var writableCount = 0

    private func list(_ fields: FieldBlock) -> [String] {
        (0..<fields.count).map {
            String(decoding: fields.name($0), as: UTF8.self) + "=" + String(decoding: fields.value($0), as: UTF8.self)
        }
    }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        head = list(fields)
        isEnded = isEnd
    }
    func streamReceived(interim fields: FieldBlock) { interim += list(fields) }
    func streamReceived(body: UnsafeRawBufferPointer) {
        self.body += body
        if returnsCredit { stream?.returnCredit(body.count) }
    }
    func streamReceivedEnd(trailers: FieldBlock?) {
        isEnded = true
        self.trailers = trailers.map(list)
    }
    func streamFailed(_ failure: StreamError) { self.failure = failure }
    func streamBecameWritable() { writableCount += 1 }
    func streamBatchEnded() {}
}

struct HTTP2SessionTests {
    static func response(_ status: UInt16 = 200) -> FieldBlock {
        let fields = FieldBlock()
        fields.append(status: status)
        return fields
    }

    static func send(_ bytes: [UInt8], on stream: HTTP2Stream) { bytes.withUnsafeBytes { stream.send(body: $0) } }

    @Test("The side that accepted the connection sends the preface, and requests travel towards the one that dialled")
    func roles() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let first = try #require(try pair.client.produce(limit: 1000))
        #expect(String(buffer: first).hasPrefix("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        try pair.deliver(first, to: pair.server)
        try pair.exchange()
        let (_, receiver) = try pair.request("/hello?x=1")
        try pair.exchange()
        #expect(
            pair.accepted[0].receiver.head == [":method=GET", ":scheme=http", ":authority=host", ":path=/hello?x=1"]
        )
        #expect(pair.accepted[0].receiver.isEnded)
        pair.accepted[0].stream.send(head: Self.response(204), isEnd: true)
        try pair.exchange()
        #expect(receiver.head == [":status=204"])
        #expect(receiver.isEnded && receiver.failure == nil)
        #expect(pair.client.streamCount == 0 && pair.server.streamCount == 0)
    }

    @Test(
        "However many streams have data, no more than the limit and a frame goes out at once; what is given up in between is reset"
    )
    func outputLimit() throws {
        let pair = SessionPair()
        defer { pair.close() }
        try pair.exchange()
        let requests = try (0..<16).map { try pair.request("/\($0)") }
        try pair.exchange()
        let body = [UInt8](repeating: 7, count: 100_000)
        for accepted in pair.accepted {
            accepted.stream.send(head: Self.response(), isEnd: false)
            Self.send(body, on: accepted.stream)
            accepted.stream.finish(trailers: nil)
        }
        let (limit, frame) = (64 << 10, (32 << 10) + 9)
        var rounds = 0
        while let output = try pair.server.produce(limit: limit) {
            #expect(output.readableBytes < limit + frame, "\(output.readableBytes)")
            // Within a frame that is begun and not sent.
            if rounds == 3 { for accepted in pair.accepted[4..<12] { accepted.stream.cancel(.cancel) } }
            rounds += 1
            try pair.deliver(output, to: pair.client)
            if let answer = try pair.client.produce(limit: 1 << 20) { try pair.deliver(answer, to: pair.server) }
        }
        #expect(rounds > 8)
        for (index, request) in requests.enumerated() where !(4..<12).contains(index) {
            #expect(request.1.body == body && request.1.isEnded && request.1.failure == nil)
        }
        for (_, receiver) in requests[4..<12] { #expect(receiver.failure != nil || receiver.isEnded) }
        #expect(pair.client.streamCount == 0 && pair.server.streamCount == 0)
    }

    @Test("Bodies and trailers travel both ways, interim responses before the final one")
    func bodies() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let (stream, receiver) = try pair.request(isEnd: false)
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        Self.send(bytes, on: stream)
        let trailers = FieldBlock()
        trailers.append("x-sum", "1")
        stream.finish(trailers: trailers)
        try pair.exchange()
        let accepted = pair.accepted[0]
        #expect(accepted.receiver.body == bytes)
        #expect(accepted.receiver.trailers == ["x-sum=1"])
        let interim = FieldBlock()
        interim.append(status: 103)
        accepted.stream.send(interim: interim)
        accepted.stream.send(head: Self.response(), isEnd: false)
        Self.send(bytes, on: accepted.stream)
        accepted.stream.finish(trailers: trailers)
        try pair.exchange()
        #expect(receiver.interim == [":status=103"])
        #expect(receiver.body == bytes)
        #expect(receiver.trailers == ["x-sum=1"])
    }

    @Test("A consumer that takes nothing stops its own stream at the window, and no other stream")
    func backPressure() throws {
        let configuration = HTTP2Configuration(maxConcurrentStreams: 20, streamWindow: 65536, windowBudget: 0)
        let pair = SessionPair(configuration)
        defer { pair.close() }
        try pair.exchange()
        var stopped: [RecordingReceiver] = []
        for index in 0..<19 {
            let (_, receiver) = try pair.request()
            receiver.returnsCredit = false
            stopped.append(receiver)
            try pair.exchange()
            pair.accepted[index].stream.send(head: Self.response(), isEnd: false)
            Self.send([UInt8](repeating: 1, count: 200_000), on: pair.accepted[index].stream)
        }
        try pair.exchange()
        #expect(stopped.allSatisfy { $0.body.count == 65536 })
        #expect(pair.accepted[0].stream.isCongested)
        let (_, receiver) = try pair.request()
        try pair.exchange()
        let other = pair.accepted[19]
        other.stream.send(head: Self.response(), isEnd: false)
        Self.send([UInt8](repeating: 2, count: 500_000), on: other.stream)
        other.stream.finish(trailers: nil)
        try pair.exchange()
        #expect(receiver.body.count == 500_000 && receiver.isEnded)
        // Credit lets a stopped stream go on, by just as much.
        stopped[0].stream?.returnCredit(40_000)
        try pair.exchange()
        #expect(stopped[0].body.count == 105_536)
    }

    @Test("The producer is told to pause at the send buffer and to go on when half of it has gone out")
    func congestion() throws {
        let pair = SessionPair(HTTP2Configuration(streamWindow: 1 << 20, sendBuffer: 100_000))
        defer { pair.close() }
        let (stream, receiver) = try pair.request(isEnd: false)
        Self.send([UInt8](repeating: 1, count: 99_999), on: stream)
        #expect(!stream.isCongested)
        Self.send([1], on: stream)
        #expect(stream.isCongested && receiver.writableCount == 0)
        try pair.exchange()
        #expect(!stream.isCongested && receiver.writableCount == 1)
    }

    @Test("A window grows for a consumer that keeps up, within the session's budget")
    func growth() throws {
        let pair = SessionPair(
            HTTP2Configuration(streamWindow: 65536, maxStreamWindow: 262_144, windowBudget: 196_608)
        )
        defer { pair.close() }
        let (stream, _) = try pair.request(isEnd: false)
        for _ in 0..<40 {
            Self.send([UInt8](repeating: 1, count: 65536), on: stream)
            try pair.exchange()
        }
        #expect(pair.accepted[0].stream.window == 262_144)
        let (second, _) = try pair.request(isEnd: false)
        for _ in 0..<40 {
            Self.send([UInt8](repeating: 1, count: 65536), on: second)
            try pair.exchange()
        }
        #expect(pair.accepted[1].stream.window == 65536)
        #expect(pair.accepted[1].receiver.body.count == 40 * 65536)
    }

    @Test(
        "On a long way a window grows too: what counts is how many round trips its consumer needs",
        arguments: [0, 200]
    )
    func growthOverDistance(_ roundTrip: Int64) throws {
        let pair = SessionPair(HTTP2Configuration(streamWindow: 65536, maxStreamWindow: 262_144))
        defer { pair.close() }
        pair.server.measured(roundTrip: .milliseconds(roundTrip))
        // One that stood behind bulk data does not count for more than it is.
        pair.server.measured(roundTrip: .milliseconds(roundTrip + 40))
        let (stream, _) = try pair.request(isEnd: false)
        for _ in 0..<20 {
            pair.now = pair.now + .milliseconds(150)
            Self.send([UInt8](repeating: 1, count: 65536), on: stream)
            try pair.exchange()
        }
        #expect(pair.accepted[0].stream.window == (roundTrip == 0 ? 65536 : 262_144))
    }

    @Test("A session that ends between two bytes of the same read is freed, and its streams with it")
    func freed() throws {
        weak var session: HTTP2Session?
        do {
            let pair = SessionPair()
            session = pair.client
            _ = try pair.request(isEnd: false)
            try pair.exchange()
            let head = FieldBlock()
            head.append(status: 200)
            pair.accepted[0].stream.send(head: head, isEnd: false)
            let bytes = try #require(try pair.server.produce(limit: 1 << 16))
            // No end of the batch follows: the connection is gone.
            try bytes.withUnsafeReadableBytes { try pair.client.receive($0, now: .uptimeNanoseconds(0)) }
            pair.close()
        }
        #expect(session == nil)
    }

    @Test("A client that gives up resets its stream only")
    func cancel() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let (stream, receiver) = try pair.request(isEnd: false)
        let (_, other) = try pair.request()
        try pair.exchange()
        stream.cancel(.cancel)
        try pair.exchange()
        #expect(pair.accepted[0].receiver.failure == .reset(HTTP2ErrorCode.cancel.rawValue))
        #expect(receiver.failure == nil)
        pair.accepted[1].stream.send(head: Self.response(), isEnd: true)
        try pair.exchange()
        #expect(other.head == [":status=200"])
    }

    @Test("Ten thousand aborts by clients do not end the tunnel")
    func manyAborts() throws {
        let pair = SessionPair()
        defer { pair.close() }
        for number in 0..<10_000 {
            // As fast as a service passes them on: `ResetAllowance`.
            pair.now = .uptimeNanoseconds(UInt64(number) * 4_000_000)
            pair.client.timePassed(pair.now)
            pair.server.timePassed(pair.now)
            let (stream, _) = try pair.request(isEnd: false)
            try pair.exchange()
            stream.cancel(.cancel)
            try pair.exchange()
            pair.accepted.removeAll()
        }
        #expect(pair.server.streamCount == 0 && pair.client.streamCount == 0)
        let (_, receiver) = try pair.request()
        try pair.exchange()
        pair.accepted[0].stream.send(head: Self.response(), isEnd: true)
        try pair.exchange()
        #expect(receiver.isEnded)
    }

    @Test("An early complete response tells the client to stop sending, without an error")
    func earlyResponse() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let (stream, receiver) = try pair.request(isEnd: false)
        try pair.exchange()
        pair.accepted[0].stream.send(head: Self.response(413), isEnd: true)
        try pair.exchange()
        #expect(receiver.head == [":status=413"] && receiver.isEnded && receiver.failure == nil)
        #expect(stream.isClosed)
    }

    @Test("After GOAWAY no stream is opened, and those in flight end well")
    func drain() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let (_, receiver) = try pair.request()
        try pair.exchange()
        pair.server.goAway()
        try pair.exchange()
        #expect(pair.drainedBy != nil)
        #expect(throws: HTTP2Error(.refused, "")) { try pair.request() }
        pair.accepted[0].stream.send(head: Self.response(), isEnd: true)
        try pair.exchange()
        #expect(receiver.isEnded && receiver.failure == nil)
    }

    @Test("A lost tunnel fails every stream, once")
    func failAll() throws {
        let pair = SessionPair()
        defer { pair.close() }
        let (_, first) = try pair.request()
        let (_, second) = try pair.request(isEnd: false)
        if let proof = pair.client.atRest { pair.client.failAll(.tunnelClosed, proof) }
        #expect(first.failure == .tunnelClosed && second.failure == .tunnelClosed)
        #expect(pair.client.streamCount == 0)
    }

    @Test("A head above the limits resets its stream and leaves the tunnel alone")
    func headTooLarge() throws {
        let pair = SessionPair(HTTP2Configuration(headerListSize: 4096))
        defer { pair.close() }
        let fields = FieldBlock()
        fields.append(":method", "GET")
        fields.append(":scheme", "http")
        fields.append(":authority", "host")
        fields.append(":path", "/" + String(repeating: "a", count: 8000))
        let receiver = RecordingReceiver()
        _ = try pair.client.openStream(fields, isEnd: true, receiver: receiver)
        try pair.exchange()
        #expect(pair.accepted.isEmpty)
        #expect(receiver.failure != nil)
        let (_, other) = try pair.request()
        try pair.exchange()
        pair.accepted[0].stream.send(head: Self.response(), isEnd: true)
        try pair.exchange()
        #expect(other.isEnded)
    }

    @Test("What is not HTTP/2 ends the session with an error, never with a crash")
    func garbage() {
        for text in ["GET / HTTP/1.1\r\n\r\n", "\u{0}\u{0}\u{0}\u{0}\u{0}", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
            let pair = SessionPair()
            defer { pair.close() }
            #expect(throws: HTTP2Error.self) {
                try pair.deliver(ByteBuffer(string: text + String(repeating: "x", count: 100)), to: pair.server)
            }
        }
    }
}
