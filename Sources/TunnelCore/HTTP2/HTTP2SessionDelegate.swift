/// What a session tells the connection that drives it.
package protocol HTTP2SessionDelegate: AnyObject {
    /// A request has begun on a new stream; the receiver that is returned hears of it. Nil refuses the stream.
    func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> (any StreamReceiver)?
    /// Frames wait to be written: call `produce` before the event loop's turn is over.
    func sessionNeedsFlush(_ session: HTTP2Session)
    func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64)
    /// The peer's settings have arrived: its side of the connection is up.
    func sessionReceivedSettings(_ session: HTTP2Session)
    /// The peer will process no stream above `lastStreamID` and wants no new ones.
    func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway)
    /// Resets wait until there may be more of them: call `timePassed` a quarter of a second later.
    func sessionPostponesResets(_ session: HTTP2Session)
}

/// What a peer says when it wants no new streams (RFC 9113 section 6.8).
package struct GoAway: Sendable {
    package var lastStreamID: Int32
    package var errorCode: UInt32
    /// The debug data, as the peer wrote it; at most 256 bytes.
    package var reason: [UInt8]
}
