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
    package var isRemoteEnded: Bool { machine.isRemoteEnded }
    /// Whether our END_STREAM is queued or sent.
    package var isLocalEnded: Bool { machine.isLocalEnded }
    package var isClosed: Bool { machine.isClosed }
    /// Whether a final response head is queued or sent; for the service, the request.
    package var hasSentHead: Bool { machine.hasSentHead }

    var machine = StateMachine()
    let session: HTTP2Session
    var slot = 0
    /// It is told of the end of this batch.
    var isTouched = false
    /// nghttp2 does not ask for its body before `resume`.
    var isDeferred = false
    var interimCount = 0
    var trailers: FieldBlock?
    // Receive side: bytes delivered and not yet credited, and what the window has grown to.
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
    package private(set) var queuedBytes = 0
    private var wasCongested = false

    init(session: HTTP2Session) {
        self.session = session
        self.window = session.configuration.streamWindow
    }

    package var isCongested: Bool { queuedBytes >= session.configuration.sendBuffer }

    // MARK: Sending

    /// Sends a request's or response's head; once.
    package func send(head fields: FieldBlock, isEnd: Bool) {
        guard machine.sendsHead(isEnd: isEnd) else { return }
        session.submitResponse(self, fields, isEnd: isEnd)
    }

    /// Sends the head of a 1xx response, any number of times before the real one.
    package func send(interim fields: FieldBlock) {
        guard machine.maySendInterim else { return }
        session.submitInterim(self, fields)
    }

    /// Sends a piece of body; it is copied. What the window does not take waits; see `isCongested`.
    package func send(body: UnsafeRawBufferPointer) {
        guard machine.maySendBody, unsafe !body.isEmpty else { return }
        unsafe queue.append(copying: body, session)
        enqueued(body.count)
    }

    /// Queues a buffer as it is, without copying it.
    package func send(body: ByteBuffer) {
        guard machine.maySendBody, body.readableBytes > 0 else { return }
        queue.append(body)
        enqueued(body.readableBytes)
    }

    private func enqueued(_ bytes: Int) {
        queuedBytes += bytes
        if isCongested { wasCongested = true }
        session.resume(self)
    }

    /// Ends what is sent on this stream.
    package func finish(trailers: FieldBlock?) {
        guard machine.finishes() else { return }
        self.trailers = trailers?.copy()
        session.resume(self)
    }

    /// Resets the stream (RFC 9113 section 6.4); nothing more is received on it.
    package func cancel(_ code: HTTP2ErrorCode) {
        receiver = nil
        guard !isClosed else { return }
        session.giveUp(self, code)
    }

    /// Ends a body that cannot be completed: what is queued goes out, then a reset tells the peer that more was to come.
    package func abort() {
        receiver = nil
        guard machine.aborts() else { return }
        session.resume(self)
    }

    /// Lets the peer send so many bytes more (RFC 9113 section 6.9).
    package func returnCredit(_ bytes: Int) {
        guard bytes > 0 else { return }
        session.returnCredit(bytes, of: self)
    }

    // MARK: Called by the session while it writes frames

    /// Moves `bytes` from the queue to `output`.
    func dequeue(_ bytes: Int, into output: inout ByteBuffer) {
        hasDequeued = true
        queue.move(bytes, into: &output, session)
        queuedBytes -= bytes
        if wasCongested, queuedBytes <= session.configuration.sendBuffer / 2 {
            wasCongested = false
            session.becameWritable(self)
        }
    }

    /// Called when the peer has refused the stream.
    func keepUnsent() {
        guard !hasDequeued else { return }
        unsent = Unsent(body: queue.all, isFinished: machine.isEndQueued, trailers: trailers)
    }

    /// Whether the request has gone out, so that the peer knows of it.
    package var isOpened: Bool { session.isOpened(id) }

    func discardQueue() {
        queue.removeAll()
        queuedBytes = 0
    }
}
