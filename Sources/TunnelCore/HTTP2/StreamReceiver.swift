/// What a tunnel stream tells its owner. All calls come on the tunnel's event loop, in the order of the frames.
package protocol StreamReceiver: AnyObject {
    /// A request or final response head. `fields` is valid during the call only.
    func streamReceived(head fields: FieldBlock, isEnd: Bool)
    /// An interim response (1xx).
    func streamReceived(interim fields: FieldBlock)
    /// A piece of body, valid during the call only. Its credit goes back to the peer when the owner calls
    /// `TunnelStream.returnCredit`.
    func streamReceived(body: UnsafeRawBufferPointer)
    /// The peer is done; `trailers` is nil where there are none.
    func streamReceivedEnd(trailers: FieldBlock?)
    /// The stream is gone: reset by the peer, or with its tunnel. Not called after a complete exchange.
    func streamFailed(_ failure: StreamError)
    /// What was queued has gone out; a producer that was asked to pause may go on.
    func streamBecameWritable()
    /// All that one read from the tunnel had for this stream has been delivered: the time to write it on at once.
    func streamBatchEnded()
    /// The tunnel is going to be cut, and with it what still lives on it: the time for a farewell.
    func streamExpires()
}

extension StreamReceiver {
    package func streamExpires() {}
}

/// Why a stream ended before its time.
package enum StreamError: Error, Equatable, Sendable {
    /// The peer says that it did not process the request; it may be sent again (RFC 9113 section 8.7).
    case refused
    /// The peer reset the stream, with this error code.
    case reset(UInt32)
    /// The peer sent more interim responses than `HTTP2Configuration.interimResponses`.
    case tooManyInterimResponses
    /// The tunnel closed.
    case tunnelClosed
    /// The tunnel closed, because its peer broke HTTP/2.
    case tunnelBroken
    /// The tunnel was given up, because its peer was silent.
    case tunnelSilent

    /// What the end of a tunnel means for its streams.
    init(endOf reason: (any Error)?) {
        switch reason {
        case let error as HTTP2Error where error.code == .protocolViolation: self = .tunnelBroken
        case let error as TunnelError where error == .silent: self = .tunnelSilent
        default: self = .tunnelClosed
        }
    }
}

/// What an owner does with its stream. Implemented by `HTTP2Stream`, and by a relay where the tunnel lives on another
/// event loop.
package protocol TunnelStream: AnyObject {
    /// Bytes queued and not yet taken by the tunnel.
    var queuedBytes: Int { get }
    /// Whether the producer should pause until `StreamReceiver.streamBecameWritable`.
    var isCongested: Bool { get }
    func send(head fields: FieldBlock, isEnd: Bool)
    func send(interim fields: FieldBlock)
    func send(body: UnsafeRawBufferPointer)
    func finish(trailers: FieldBlock?)
    /// Gives back credit for bytes of body whose consumer has taken them.
    func returnCredit(_ bytes: Int)
    /// Gives up on the stream; no further calls to the receiver follow.
    func cancel(_ code: HTTP2ErrorCode)
}
