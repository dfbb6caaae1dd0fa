internal import CNghttp2
package import NIOCore

/// What a session tells the connection that drives it.
package protocol HTTP2SessionDelegate: AnyObject {
    /// A request has begun on a new stream; the receiver that is returned hears of it.
    func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> any StreamReceiver
    /// Frames wait to be written: call `produce` before the event loop's turn is over.
    func sessionNeedsFlush(_ session: HTTP2Session)
    func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64)
    /// The peer's settings have arrived: its side of the connection is up.
    func sessionReceivedSettings(_ session: HTTP2Session)
    /// The peer will process no stream above `lastStreamID` and wants no new ones.
    func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway)
}

/// What a peer says when it wants no new streams (RFC 9113 section 6.8).
package struct GoAway: Sendable {
    package var lastStreamID: Int32
    package var errorCode: UInt32
    /// The debug data, as the peer wrote it; at most 256 octets.
    package var reason: [UInt8]
}

/// One HTTP/2 connection over octet buffers, on nghttp2: no sockets, no clock.
///
/// In a tunnel the roles are reversed: the connector, which dialled, is the server; the connectivity service is the
/// client and sends the preface (docs/protocol.md).
package final class HTTP2Session {
    package enum Role: Sendable {
        /// Sends requests: the connectivity service.
        case client
        /// Answers them: the connector.
        case server
    }

    package let role: Role
    package let configuration: HTTP2Configuration
    /// Set and cleared by the connection that drives the session. Strong, as a weak reference would move the reference
    /// counts of a busy object out of line.
    package var delegate: (any HTTP2SessionDelegate)?
    /// Streams open or waiting to be opened.
    package private(set) var streamCount = 0
    /// No new streams: GOAWAY was sent or received.
    package private(set) var isDraining = false

    let allocator: ByteBufferAllocator
    let fields: FieldBlock
    var output: ByteBuffer
    /// The time of the current batch, given with `receive`; for window growth only.
    var now: NIODeadline = .uptimeNanoseconds(0)
    var currentHeadStream: HTTP2Stream?
    var controlFrameCount = 0
    var fatalError: HTTP2Error?
    private var session: OpaquePointer?
    private var slots: [HTTP2Stream?] = []
    private var freeSlots: [Int] = []
    private var touched: [HTTP2Stream] = []
    private var notified: [HTTP2Stream] = []
    private var earlyEnds: [HTTP2Stream] = []
    private var windowGrowth = 0
    private var roundTrip = TimeAmount.zero
    private var names: UnsafeMutablePointer<nghttp2_nv>

    package init(
        _ role: Role,
        configuration: HTTP2Configuration = HTTP2Configuration(),
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) {
        self.role = role
        self.configuration = configuration
        self.allocator = allocator
        self.fields = FieldBlock(capacity: 8192, fields: configuration.fields)
        self.output = allocator.buffer(capacity: 64 << 10)
        self.names = .allocate(capacity: configuration.fields + 8)
        self.session = HTTP2Callbacks.makeSession(role, self)
        submitSettings()
    }

    deinit {
        nghttp2_session_del(session)
        names.deallocate()
    }

    private func submitSettings() {
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(configuration.streamWindow)
            ),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue),
                value: UInt32(configuration.maxFrameSize)
            ),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(configuration.headerListSize)
            ),
        ]
        switch role {
        case .client:
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0)
            )
        case .server:
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: UInt32(configuration.maxConcurrentStreams)
                )
            )
            // For the control stream (docs/protocol.md).
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1)
            )
        }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        nghttp2_session_set_local_window_size(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            0,
            Int32(configuration.connectionWindow)
        )
    }

    // MARK: Octets in and out

    /// Takes octets from the peer and tells the streams' receivers what they mean.
    package func receive(_ octets: UnsafeRawBufferPointer, now: NIODeadline) throws(HTTP2Error) {
        self.now = now
        let taken = nghttp2_session_mem_recv(
            session,
            octets.baseAddress?.assumingMemoryBound(to: UInt8.self),
            octets.count
        )
        if let fatalError { throw fatalError }
        guard taken >= 0 else {
            throw HTTP2Error(.protocolViolation, String(cString: nghttp2_strerror(Int32(taken))))
        }
        // nghttp2 goes on after a GOAWAY that it sent for the peer's fault; a faulty peer is not worth the wait.
        guard nghttp2_session_want_read(session) != 0 || isDraining else {
            throw HTTP2Error(.protocolViolation, "the peer broke the HTTP/2 protocol")
        }
        // Acknowledgements, and data that new credit has set free.
        if nghttp2_session_want_write(session) != 0 { needsFlush() }
    }

    /// Calls `streamBatchEnded` on all that have heard something since the last time.
    package func endBatch() {
        guard !touched.isEmpty else { return }
        // Two arrays that change places keep their memory.
        swap(&touched, &notified)
        for stream in notified {
            stream.isTouched = false
            stream.receiver?.streamBatchEnded()
        }
        notified.removeAll(keepingCapacity: true)
    }

    /// Writes frames until `limit` octets wait in the result or nothing is left to say.
    package func produce(limit: Int) throws(HTTP2Error) -> ByteBuffer? {
        output.clear()
        repeat {
            while output.readableBytes < limit {
                var data: UnsafePointer<UInt8>?
                let count = nghttp2_session_mem_send(session, &data)
                guard count >= 0 else { throw HTTP2Error(.internal, String(cString: nghttp2_strerror(Int32(count)))) }
                if count == 0 { break }
                output.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
            }
        } while output.readableBytes < limit && resetEarlyEnds()
        return output.readableBytes > 0 ? output : nil
    }

    /// Whether the session is over: nothing to send, nothing to expect.
    package var isFinished: Bool {
        nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
    }

    /// A complete response before the end of the request: tell the peer to stop sending (RFC 9113 section 8.1).
    private func resetEarlyEnds() -> Bool {
        guard !earlyEnds.isEmpty else { return false }
        for stream in earlyEnds where !stream.isClosed && !stream.isRemoteEnded {
            submitReset(stream.id, HTTP2ErrorCode.noError.rawValue)
        }
        earlyEnds.removeAll(keepingCapacity: true)
        return true
    }

    // MARK: Buffers for small pieces of body

    private var spareBuffers: [ByteBuffer] = []
    static let smallBuffer = 2048

    func smallBuffer() -> ByteBuffer {
        guard var buffer = spareBuffers.popLast() else { return allocator.buffer(capacity: Self.smallBuffer) }
        buffer.clear()
        return buffer
    }

    func recycle(_ buffer: ByteBuffer) {
        guard buffer.capacity == Self.smallBuffer, spareBuffers.count < 64 else { return }
        spareBuffers.append(buffer)
    }

    // MARK: Streams

    /// Opens a stream and sends a request on it. The service's side only.
    package func openStream(
        _ head: FieldBlock,
        isEnd: Bool,
        receiver: any StreamReceiver
    ) throws(HTTP2Error) -> HTTP2Stream {
        precondition(role == .client)
        guard !isDraining else { throw HTTP2Error(.refused, "the tunnel is draining") }
        let stream = makeStream()
        stream.receiver = receiver
        stream.hasSentHead = true
        var provider = HTTP2Callbacks.dataProvider(stream)
        let id = withNames(head) { names, count in
            isEnd
                ? nghttp2_submit_request(session, nil, names, count, nil, HTTP2Callbacks.pointer(stream))
                : nghttp2_submit_request(session, nil, names, count, &provider, HTTP2Callbacks.pointer(stream))
        }
        guard id > 0 else {
            release(stream)
            throw HTTP2Error(.refused, String(cString: nghttp2_strerror(id)))
        }
        stream.id = id
        if isEnd { stream.isLocalEnded = true }
        needsFlush()
        return stream
    }

    func isOpened(_ id: Int32) -> Bool { nghttp2_session_find_stream(session, id) != nil }

    /// Streams the peer allows at once.
    package var peerMaxConcurrentStreams: Int {
        Int(nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
    }

    func makeStream() -> HTTP2Stream {
        let stream = HTTP2Stream(session: self)
        if let slot = freeSlots.popLast() {
            slots[slot] = stream
            stream.slot = slot
        } else {
            stream.slot = slots.count
            slots.append(stream)
        }
        streamCount += 1
        return stream
    }

    func release(_ stream: HTTP2Stream) {
        guard !stream.isClosed else { return }
        stream.isClosed = true
        stream.receiver = nil
        stream.discardQueue()
        windowGrowth -= stream.window - configuration.streamWindow
        // What the consumer never took must not be missing from the connection's window.
        if stream.uncredited > 0 { nghttp2_session_consume_connection(session, stream.uncredited) }
        stream.uncredited = 0
        slots[stream.slot] = nil
        freeSlots.append(stream.slot)
        streamCount -= 1
    }

    func submitResponse(_ stream: HTTP2Stream, _ head: FieldBlock, isEnd: Bool) {
        var provider = HTTP2Callbacks.dataProvider(stream)
        let result = withNames(head) { names, count in
            isEnd
                ? nghttp2_submit_response(session, stream.id, names, count, nil)
                : nghttp2_submit_response(session, stream.id, names, count, &provider)
        }
        if result != 0 { submitReset(stream.id, HTTP2ErrorCode.internalError.rawValue) }
        if isEnd { endedEarly(stream) }
        needsFlush()
    }

    func submitInterim(_ stream: HTTP2Stream, _ head: FieldBlock) {
        _ = withNames(head) { names, count in
            nghttp2_submit_headers(session, 0, stream.id, nil, names, count, nil)
        }
        needsFlush()
    }

    /// Called while END_STREAM is being written.
    func submitTrailers(_ stream: HTTP2Stream, _ trailers: FieldBlock) {
        _ = withNames(trailers) { names, count in nghttp2_submit_trailer(session, stream.id, names, count) }
    }

    func endedEarly(_ stream: HTTP2Stream) {
        if role == .server, !stream.isRemoteEnded, !stream.isTunnel { earlyEnds.append(stream) }
    }

    func resume(_ stream: HTTP2Stream) {
        if stream.isDeferred {
            stream.isDeferred = false
            nghttp2_session_resume_data(session, stream.id)
        }
        needsFlush()
    }

    func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        submitReset(stream.id, code.rawValue)
        stream.discardQueue()
        needsFlush()
    }

    private func submitReset(_ id: Int32, _ code: UInt32) {
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code)
    }

    func touch(_ stream: HTTP2Stream) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }

    func becameWritable(_ stream: HTTP2Stream) {
        stream.receiver?.streamBecameWritable()
    }

    func needsFlush() { delegate?.sessionNeedsFlush(self) }

    // MARK: Flow control

    func returnCredit(_ octets: Int, of stream: HTTP2Stream) {
        guard !stream.isClosed else { return }
        let count = min(octets, stream.uncredited)
        stream.uncredited -= count
        nghttp2_session_consume(session, stream.id, count)
        grow(stream, count)
        needsFlush()
    }

    /// Learns how long an answer takes at best. What stood behind bulk data says little about the way, so a longer time
    /// counts only a little.
    package func measured(roundTrip: TimeAmount) {
        let nanoseconds = min(roundTrip.nanoseconds, 2_000_000_000)
        let best = self.roundTrip.nanoseconds
        self.roundTrip = .nanoseconds(nanoseconds < best || best == 0 ? nanoseconds : best + (nanoseconds - best) / 16)
    }

    /// Doubles the window of a stream whose consumer has taken a whole window within a tenth of a second, or two round
    /// trips where the way is long, as long as the budget lasts.
    private func grow(_ stream: HTTP2Stream, _ octets: Int) {
        stream.receivedSinceGrowth += octets
        guard stream.receivedSinceGrowth >= stream.window, !stream.isRemoteEnded else { return }
        let limit = max(100_000_000, 2 * roundTrip.nanoseconds)
        let isFast = (now - stream.growthStart).nanoseconds < limit
        stream.receivedSinceGrowth = 0
        stream.growthStart = now
        let increase = min(stream.window, configuration.maxStreamWindow - stream.window)
        guard isFast, increase > 0, windowGrowth + increase <= configuration.windowBudget else { return }
        stream.window += increase
        windowGrowth += increase
        nghttp2_session_set_local_window_size(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            stream.id,
            Int32(stream.window)
        )
    }

    // MARK: Connection

    package func ping(_ payload: UInt64) {
        withUnsafeBytes(of: payload) { octets in
            _ = nghttp2_submit_ping(
                session,
                UInt8(NGHTTP2_FLAG_NONE.rawValue),
                octets.baseAddress?.assumingMemoryBound(to: UInt8.self)
            )
        }
        needsFlush()
    }

    /// Asks the peer to open no new streams, and goes on accepting those that are already on their way: the first half
    /// of a shutdown without loss (RFC 9113 section 6.8). The connector's side only.
    package func announceShutdown() {
        precondition(role == .server)
        nghttp2_submit_shutdown_notice(session)
        needsFlush()
    }

    /// Says that no new stream is wanted; streams in flight go on.
    ///
    /// - Parameter reason: for the peer's log; cut at 256 octets.
    package func goAway(_ code: HTTP2ErrorCode = .noError, reason: String = "") {
        isDraining = true
        let last = nghttp2_session_get_last_proc_stream_id(session)
        let reason = Array(reason.utf8.prefix(256))
        nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, reason, reason.count)
        needsFlush()
    }

    func received(_ goAway: GoAway) {
        isDraining = true
        delegate?.session(self, receivedGoAway: goAway)
    }

    /// Whether the peer takes CONNECT with `:protocol` (RFC 8441 section 3).
    package var peerAllowsExtendedConnect: Bool {
        nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
    }

    /// Starts another half minute for `HTTP2Configuration.controlFrames`.
    package func resetControlFrameCount() { controlFrameCount = 0 }

    /// Ends all streams: the tunnel is gone.
    package func failAll(_ failure: StreamFailure) {
        isDraining = true
        for stream in slots {
            guard let stream else { continue }
            let receiver = stream.receiver
            release(stream)
            receiver?.streamFailed(failure)
        }
        // Streams refer to their session; what is left here would keep both for ever.
        touched.removeAll()
        earlyEnds.removeAll()
    }

    // MARK: nghttp2's view of a field block

    private func withNames<Result>(
        _ block: FieldBlock,
        _ body: (UnsafePointer<nghttp2_nv>, Int) -> Result
    ) -> Result {
        let count = min(block.count, configuration.fields + 8)
        let noFlags = UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
        let noIndex = UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)
        for index in 0..<count {
            let name = block.name(index)
            let value = block.value(index)
            let empty = UnsafeMutablePointer(mutating: StaticString("").utf8Start)
            (names + index).initialize(
                to: nghttp2_nv(
                    name: UnsafeMutablePointer(mutating: name.baseAddress!.assumingMemoryBound(to: UInt8.self)),
                    value: value.baseAddress.map {
                        UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
                    } ?? empty,
                    namelen: name.count,
                    valuelen: value.count,
                    // Times differ from one response to the next; in the table they would only push others out.
                    flags: block.known(index) == .timing ? noIndex : noFlags
                )
            )
        }
        return body(names, count)
    }
}
