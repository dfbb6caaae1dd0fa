internal import CNghttp2
package import EpollTransport
package import NIOCore

/// One HTTP/2 connection over byte buffers, on nghttp2: no sockets, no clock.
///
/// In a tunnel the roles are reversed: the connector, which dialled, is the server; the connectivity service is the
/// client and sends the preface (docs/protocol.md).
@safe package final class HTTP2Session {
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
    /// Streams that are over.
    package private(set) var endedCount = 0
    /// No new streams: GOAWAY was sent or received.
    package internal(set) var isDraining = false

    let allocator: ByteBufferAllocator
    let fields: FieldBlock
    /// Of the loop that the session is on.
    package var buffers = LoopBuffers()
    /// Borrowed while frames are written, up to so many bytes of data.
    var (output, outputLimit) = (ByteBuffer(), 0)
    /// The time of the current batch, given with `receive`; for window growth only.
    var now: NIODeadline = .uptimeNanoseconds(0)
    var currentHeadStream: HTTP2Stream?
    var budget: FrameBudget
    private var scanner: FrameScanner
    private var preface: DiallerPreface?
    var session: OpaquePointer?
    private var slots: [HTTP2Stream?] = []
    private var freeSlots: [Int] = []
    private var touched: [HTTP2Stream] = []
    private var notified: [HTTP2Stream] = []
    /// Streams that have room again, to be told once the library is at rest.
    private var writable: [HTTP2Stream] = []
    /// Streams given up that may not be reset yet.
    private var postponedResets: [(stream: HTTP2Stream, code: HTTP2ErrorCode)] = []
    private var resetAllowance = ResetAllowance()
    private var earlyEnds: [HTTP2Stream] = []
    var windowGrowth = 0
    var roundTrip = TimeAmount.zero
    /// Field blocks that were sent so far.
    var blocks = 0

    package init(
        _ role: Role,
        configuration: HTTP2Configuration = HTTP2Configuration(),
        dialect: TunnelDialect = .standard,
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) {
        self.role = role
        self.configuration = configuration
        self.allocator = allocator
        self.fields = FieldBlock(capacity: 1024, fields: 24)
        self.budget = FrameBudget(capacity: configuration.frameBudget)
        let getsPreface = role == .server && !dialect.isPrefaceOfDialler
        self.scanner = FrameScanner(preface: getsPreface ? Int(NGHTTP2_CLIENT_MAGIC_LEN) : 0)
        if dialect.isPrefaceOfDialler { preface = DiallerPreface(role) }
        unsafe self.session = unsafe HTTP2Callbacks.makeSession(role, self, getsPreface: getsPreface)
        submitSettings()
    }

    deinit { unsafe nghttp2_session_del(session) }

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
        unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        unsafe nghttp2_session_set_local_window_size(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            0,
            Int32(configuration.connectionWindow)
        )
    }

    // MARK: Bytes in and out

    /// nghttp2 calls back from within `nghttp2_session_mem_recv` and `nghttp2_session_mem_send`, and goes on with its own
    /// streams afterwards.
    private var isLibraryAtWork = false
    private var isOver = false

    /// Proof that nghttp2 is not at work, without which no stream is freed. Only `atRest` makes one, and within a callback it
    /// makes none.
    package struct AtRest: ~Copyable {
        fileprivate init() {}
    }

    /// - Returns: nil within a callback: whoever wants to end the session then waits until `receive` or `produce` has
    ///   returned.
    package var atRest: AtRest? { isLibraryAtWork ? nil : AtRest() }
    var isAtRest: Bool { !isLibraryAtWork }

    /// Takes bytes from the peer and tells the streams' receivers what they mean.
    package func receive(_ received: UnsafeRawBufferPointer, now: NIODeadline) throws(HTTP2Error) {
        guard !isLibraryAtWork, !isOver else { return }
        let bytes = unsafe try preface?.strip(received) ?? received
        self.now = now
        budget.refill(now)
        unsafe budget.charge(scanner.cost(bytes))
        isLibraryAtWork = true
        let taken = unsafe nghttp2_session_mem_recv(
            session,
            bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
            bytes.count
        )
        isLibraryAtWork = false
        if budget.isExceeded {
            throw HTTP2Error(.flood, "the peer sent more frames that serve no request than it may")
        }
        guard taken >= 0 else {
            throw unsafe HTTP2Error(.protocolViolation, String(cString: nghttp2_strerror(Int32(taken))))
        }
        // nghttp2 goes on after a GOAWAY that it sent for the peer's fault; a faulty peer is not worth the wait.
        guard unsafe nghttp2_session_want_read(session) != 0 || isDraining else {
            throw HTTP2Error(.protocolViolation, "the peer broke the HTTP/2 protocol")
        }
        // Acknowledgements, and data that new credit has set free.
        if unsafe nghttp2_session_want_write(session) != 0 { needsFlush() }
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

    /// Writes frames until the result has `limit` bytes, and at most one frame more, or nothing is left to say.
    package func produce(limit: Int) throws(HTTP2Error) -> ByteBuffer? {
        guard !isLibraryAtWork, !isOver else { return nil }
        output = exchange(&buffers.frames, with: ByteBuffer())
        output.clear()
        outputLimit = limit
        unsafe preface?.begin(session, &output)
        isLibraryAtWork = true
        defer { tellWritable() }
        defer {
            isLibraryAtWork = false
            buffers.frames = exchange(&output, with: ByteBuffer())
        }
        repeat {
            while output.readableBytes < limit {
                var data: UnsafePointer<UInt8>?
                let count = unsafe nghttp2_session_mem_send(session, &data)
                guard count >= 0 else {
                    throw unsafe HTTP2Error(.internal, String(cString: nghttp2_strerror(Int32(count))))
                }
                if count == 0 { break }
                unsafe output.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
            }
        } while output.readableBytes < limit && resetEarlyEnds()
        return output.readableBytes > 0 ? output : nil
    }

    /// Receivers do as they like when they hear of it, so they hear of it afterwards.
    private func tellWritable() {
        guard !writable.isEmpty else { return }
        let streams = writable
        writable.removeAll(keepingCapacity: true)
        for stream in streams { stream.receiver?.streamBecameWritable() }
    }

    /// Whether the session is over: nothing to send, nothing to expect.
    package var isFinished: Bool {
        unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
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
        stream.machine.opensWithHead(isEnd: isEnd)
        var provider = unsafe HTTP2Callbacks.dataProvider(stream)
        let id = unsafe withNames(head) { names, count in
            unsafe isEnd
                ? nghttp2_submit_request(session, nil, names, count, nil, HTTP2Callbacks.pointer(stream))
                : nghttp2_submit_request(session, nil, names, count, &provider, HTTP2Callbacks.pointer(stream))
        }
        guard id > 0 else {
            release(stream)
            throw unsafe HTTP2Error(.refused, String(cString: nghttp2_strerror(id)))
        }
        stream.id = id
        budget.earn(FrameBudget.Cost.exchange)
        needsFlush()
        return stream
    }

    /// Streams the peer allows at once.
    package var peerMaxConcurrentStreams: Int {
        unsafe Int(nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
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
        guard stream.machine.closes() else { return }
        stream.receiver = nil
        stream.discardQueue()
        windowGrowth -= stream.window - configuration.streamWindow
        // What the consumer never took must not be missing from the connection's window.
        if stream.uncredited > 0 { unsafe nghttp2_session_consume_connection(session, stream.uncredited) }
        stream.uncredited = 0
        slots[stream.slot] = nil
        freeSlots.append(stream.slot)
        streamCount -= 1
        endedCount &+= 1
        if streamCount == 0 { fields.shrink() }
    }

    func submitResponse(_ stream: HTTP2Stream, _ head: FieldBlock, isEnd: Bool) {
        var provider = unsafe HTTP2Callbacks.dataProvider(stream)
        let result = unsafe withNames(head) { names, count in
            unsafe isEnd
                ? nghttp2_submit_response(session, stream.id, names, count, nil)
                : nghttp2_submit_response(session, stream.id, names, count, &provider)
        }
        budget.earn(FrameBudget.Cost.exchange)
        if result != 0 { submitReset(stream.id, HTTP2ErrorCode.internalError.rawValue) }
        if isEnd { endedEarly(stream) }
        needsFlush()
    }

    func submitInterim(_ stream: HTTP2Stream, _ head: FieldBlock) {
        _ = unsafe withNames(head) { names, count in
            unsafe nghttp2_submit_headers(session, 0, stream.id, nil, names, count, nil)
        }
        needsFlush()
    }

    /// Called while END_STREAM is being written.
    func submitTrailers(_ stream: HTTP2Stream, _ trailers: FieldBlock) {
        _ = unsafe withNames(trailers) { names, count in unsafe nghttp2_submit_trailer(session, stream.id, names, count)
        }
    }

    func endedEarly(_ stream: HTTP2Stream) {
        if role == .server, !stream.isRemoteEnded, !stream.isTunnel { earlyEnds.append(stream) }
    }

    func resume(_ stream: HTTP2Stream) {
        if stream.isDeferred {
            stream.isDeferred = false
            unsafe nghttp2_session_resume_data(session, stream.id)
        }
        needsFlush()
    }

    func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        budget.earn(FrameBudget.Cost.abandoned(stream.window, role))
        submitReset(stream.id, code.rawValue)
        stream.discardQueue()
        needsFlush()
    }

    /// Turns a request away before anything is done for it. That earns the peer nothing.
    func refuse(_ stream: HTTP2Stream) {
        submitReset(stream.id, HTTP2ErrorCode.refusedStream.rawValue)
        needsFlush()
    }

    /// Gives a stream up. What still comes for it is dropped.
    func giveUp(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        guard role == .server || resetAllowance.take() else {
            postponedResets.append((stream, code))
            if postponedResets.count == 1 { delegate?.sessionPostponesResets(self) }
            return
        }
        reset(stream, code)
    }

    /// Sends resets that were postponed, as many as may be sent by now.
    package func timePassed(_ now: NIODeadline) {
        self.now = now
        resetAllowance.refill(now)
        postponedResets.removeAll { $0.stream.isClosed }
        while let next = postponedResets.last, resetAllowance.take() {
            postponedResets.removeLast()
            reset(next.stream, next.code)
        }
        if !postponedResets.isEmpty { delegate?.sessionPostponesResets(self) }
    }

    private func submitReset(_ id: Int32, _ code: UInt32) {
        unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code)
    }

    func touch(_ stream: HTTP2Stream) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }

    func becameWritable(_ stream: HTTP2Stream) { writable.append(stream) }
    func needsFlush() { delegate?.sessionNeedsFlush(self) }

    // MARK: End

    /// Tells the owners of all streams that their time is over.
    package func expireAll() {
        for stream in slots { stream?.receiver?.streamExpires() }
    }

    /// Ends all streams: the tunnel is gone. Nothing is received or produced any more.
    package func failAll(_ failure: StreamError, _ proof: consuming AtRest) {
        isDraining = true
        isOver = true
        for stream in slots {
            guard let stream else { continue }
            let receiver = stream.receiver
            release(stream)
            receiver?.streamFailed(failure)
        }
        // Streams refer to their session; what is left here would keep both for ever.
        touched.removeAll()
        earlyEnds.removeAll()
        writable.removeAll()
        postponedResets.removeAll()
    }
}
