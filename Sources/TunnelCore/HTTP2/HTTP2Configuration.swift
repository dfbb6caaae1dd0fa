/// Limits of one tunnel session. Both ends of a tunnel may use different ones.
///
/// Memory that a peer can make a session hold is bounded by
/// `maxConcurrentStreams` x `streamWindow` + `windowBudget`, in each direction.
package struct HTTP2Configuration: Sendable, Equatable {
    /// Streams the peer may have open at once (RFC 9113 section 5.1.2).
    package var maxConcurrentStreams: Int
    /// Bytes a stream may have in flight towards us before its consumer has taken any: 65,535 to `maxStreamWindow`.
    package var streamWindow: Int
    /// Bytes up to which the window of a stream grows whose consumer keeps up.
    package var maxStreamWindow: Int
    /// Bytes that all windows of a session may grow by together.
    package var windowBudget: Int
    /// Bytes of one DATA frame: 16,384 to 16,777,215 (RFC 9113 section 4.2).
    package var maxFrameSize: Int
    /// Bytes of all fields of one message, counted as in RFC 9113 section 6.5.2.
    package var headerListSize: Int
    /// Fields of one message.
    package var fields: Int
    /// Units of cost that a peer's frames may save up; a quarter of it comes back each second (`FrameBudget`).
    package var frameBudget: Int
    /// Interim responses (1xx) to one request.
    package var interimResponses: Int
    /// Bytes queued on one stream after which its producer is asked to pause.
    package var sendBuffer: Int

    package init(
        maxConcurrentStreams: Int = 256,
        streamWindow: Int = 256 << 10,
        maxStreamWindow: Int = 4 << 20,
        windowBudget: Int = 16 << 20,
        maxFrameSize: Int = 32 << 10,
        headerListSize: Int = 160 << 10,
        fields: Int = 2048,
        frameBudget: Int = 16384,
        interimResponses: Int = 16,
        sendBuffer: Int = 128 << 10
    ) {
        self.maxConcurrentStreams = maxConcurrentStreams
        self.streamWindow = streamWindow
        self.maxStreamWindow = maxStreamWindow
        self.windowBudget = windowBudget
        self.maxFrameSize = maxFrameSize
        self.headerListSize = headerListSize
        self.fields = fields
        self.frameBudget = frameBudget
        self.interimResponses = interimResponses
        self.sendBuffer = sendBuffer
    }

    /// Enough for every stream to stop at its window without holding up another one: twice what they can hold together,
    /// since nghttp2 gives credit for the connection back only in halves of its window.
    package var connectionWindow: Int {
        min(2 * (maxConcurrentStreams * streamWindow + windowBudget), Int(Int32.max))
    }
}
