internal import AccessPolicy
internal import Cryptography
internal import NIOCore
internal import TunnelCore

/// What a request asks of the connection it goes out on.
protocol RequestConnection: AnyObject {
    /// Where the request is written.
    var output: OutputBuffer { get set }
    /// Takes a request, with the permit for its system.
    func begin(_ request: any ResponseReceiver, _ permit: Permit)
    func write(_ body: UnsafeRawBufferPointer, isChunked: Bool)
    /// What was kept until there was a connection.
    func write(_ buffer: ByteBuffer)
    func finishChunks(_ trailers: FieldBlock?)
    /// Now it is the internal host's turn.
    func requestEnded()
    /// Hands the channel what was written.
    func flush()
    /// The tunnel takes more of the response.
    func resumeReading()
    /// The request is of no interest any more.
    func abandon()
    /// Opened for a request that is gone.
    func keepUnused()
}

/// What a connection tells the request that is on it.
protocol ResponseReceiver: AnyObject {
    /// Where the response goes.
    var stream: HTTP2Stream { get }
    var isHead: Bool { get }
    /// Whether the client has sent all of it.
    var isRequestComplete: Bool { get }
    /// The key with which it asks for WebSocket.
    var webSocketKey: String? { get }
    /// NTLM and Negotiate authenticate a connection, not a request.
    var hasConnectionAuthentication: Bool { get }
    /// Whether times go along with this response.
    var reportsTimes: Bool { get }
    /// Nanoseconds.
    var connectTime: Int64 { get }
    var backendTime: Int64 { get }
    /// Bytes of the body so far.
    var responseBytes: Int { get set }
    /// The internal host has taken what was written.
    func returnCredit()
    /// The final head is here.
    func answered(_ status: Int)
    func responseComplete()
    /// The internal host has switched to WebSocket: the channel is no connection of requests any more.
    ///
    /// - Parameters:
    ///   - first: what came right behind the head.
    func switched(_ channel: any Channel, after handler: any ChannelHandler, first: ByteBuffer) throws
    /// The response cannot go on.
    func responseFailed(_ refusal: Refusal)
    /// The internal host closed the connection before it said anything.
    ///
    /// - Parameter sent: all that was sent, if it is still there.
    func upstreamClosedUnanswered(_ sent: ByteBuffer?, wasReused: Bool, error: (any Error)?)
}
