package import NIOCore

/// One request and its response on a tunnel session.
package final class HTTP2Stream: TunnelStream {
    /// Zero until the request is submitted.
    package internal(set) var id: Int32 = 0
    /// Held until the stream is closed or cancelled.
    package var receiver: (any StreamReceiver)?
    /// Carries a connection instead of a request and its response: each direction ends by itself (RFC 9113 section 8.5).
    package var isTunnel = false
    /// Whether the peer has sent its END_STREAM.
    package internal(set) var isRemoteEnded = false
    /// Whether our END_STREAM is queued or sent.
    package internal(set) var isLocalEnded = false
    package internal(set) var isClosed = false

    let session: HTTP2Session
    var slot = 0
    /// Whether a final response head is queued or sent; for the service, the request.
    package internal(set) var hasSentHead = false
    var hasReceivedHead = false
    var isTouched = false
    var isDeferred = false
    var isEndQueued = false
    /// What is queued shall go out and then a reset.
    var isAborting = false
    var trailers: FieldBlock?
    // Receive side: octets delivered and not yet credited, and what the window has grown to.
    var uncredited = 0
    var window: Int
    var receivedSinceGrowth = 0
    var growthStart: NIODeadline = .uptimeNanoseconds(0)

    /// The whole body so far of a request that the peer refused before any of it was sent.
    package struct Unsent {
        package var body: [ByteBuffer]
        package var isFinished: Bool
        package var trailers: FieldBlock?
    }

    package private(set) var unsent: Unsent?
    private var hasDequeued = false
    private var queue = BufferQueue()
    package private(set) var queuedOctets = 0
    private var wasCongested = false

    init(session: HTTP2Session) {
        self.session = session
        self.window = session.configuration.streamWindow
    }

    package var isCongested: Bool { queuedOctets >= session.configuration.sendBuffer }

    // MARK: Sending

    package func send(head fields: FieldBlock, isEnd: Bool) {
        guard !isClosed, !isLocalEnded, !hasSentHead else { return }
        hasSentHead = true
        isLocalEnded = isEnd
        session.submitResponse(self, fields, isEnd: isEnd)
    }

    package func send(interim fields: FieldBlock) {
        guard !isClosed, !hasSentHead else { return }
        session.submitInterim(self, fields)
    }

    package func send(body: UnsafeRawBufferPointer) {
        guard !isClosed, !isLocalEnded, !body.isEmpty else { return }
        queue.append(copying: body, session)
        enqueued(body.count)
    }

    /// Queues a buffer as it is, without copying it.
    package func send(body: ByteBuffer) {
        guard !isClosed, !isLocalEnded, body.readableBytes > 0 else { return }
        queue.append(body)
        enqueued(body.readableBytes)
    }

    private func enqueued(_ octets: Int) {
        queuedOctets += octets
        if isCongested { wasCongested = true }
        session.resume(self)
    }

    package func finish(trailers: FieldBlock?) {
        guard !isClosed, !isLocalEnded else { return }
        isLocalEnded = true
        isEndQueued = true
        self.trailers = trailers?.copy()
        session.resume(self)
    }

    package func cancel(_ code: HTTP2ErrorCode) {
        receiver = nil
        guard !isClosed else { return }
        session.reset(self, code)
    }

    /// Ends a body that cannot be completed: what is queued goes out, then a reset tells the peer that more was to come.
    package func abort() {
        receiver = nil
        guard !isClosed, !isLocalEnded else { return }
        isLocalEnded = true
        isAborting = true
        session.resume(self)
    }

    package func returnCredit(_ octets: Int) {
        guard octets > 0 else { return }
        session.returnCredit(octets, of: self)
    }

    // MARK: Called by the session while it writes frames

    /// Moves `octets` from the queue to `output`.
    func dequeue(_ octets: Int, into output: inout ByteBuffer) {
        hasDequeued = true
        queue.move(octets, into: &output, session)
        queuedOctets -= octets
        if wasCongested, queuedOctets <= session.configuration.sendBuffer / 2 {
            wasCongested = false
            session.becameWritable(self)
        }
    }

    /// Called when the peer has refused the stream.
    func keepUnsent() {
        guard !hasDequeued else { return }
        unsent = Unsent(body: queue.all, isFinished: isEndQueued, trailers: trailers)
    }

    /// Whether the request has gone out, so that the peer knows of it.
    package var isOpened: Bool { session.isOpened(id) }

    func discardQueue() {
        queue.removeAll()
        queuedOctets = 0
    }
}
