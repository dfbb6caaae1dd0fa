internal import Glibc
package import NIOCore

/// Joins a connection and a tunnel stream, byte for byte, in both directions. Each direction ends by itself; a reset on one
/// side becomes a reset on the other; neither side gets more than the other one takes.
package final class StreamPipe: ChannelInboundHandler, ChannelOutboundHandler, StreamReceiver, DeadlineObserver {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// How it ended, for logs and metrics.
    package enum End: Sendable, Equatable { case closed, reset, idle, expired }

    package var sweepIndex = -1
    /// Bytes from the connection into the tunnel, and back.
    package private(set) var bytesIn = 0
    package private(set) var bytesOut = 0
    /// Called once.
    package var onEnd: ((End) -> Void)?

    private var stream: (any TunnelStream)?
    /// What it carries, where that is known.
    private var content: Content
    private let sweeper: DeadlineSweeper
    private let idleTicks: Int
    private var deadline: Int
    private var context: ChannelHandlerContext?
    private var uncredited = 0
    private var isInputClosed = false
    private var isOutputClosed = false
    private var isReadHeld = false
    private var isAllWritten = false
    /// Both ends have been told, and this is how it will have ended.
    private var isLeaving: End?
    private var hasUnflushed = false

    /// What the bytes are. WebSocket has words for an early end, which may be said between two frames only.
    package enum Content {
        case unknown
        /// The connection's peer is the client or the server of it.
        case webSocket(isPeerClient: Bool, in: WebSocketFrames = .init(), out: WebSocketFrames = .init())
    }

    /// - Parameters:
    ///   - idle: without a byte in either direction; then both sides are closed.
    package init(
        _ stream: any TunnelStream,
        _ content: Content = .unknown,
        sweeper: DeadlineSweeper,
        idle: TimeAmount
    ) {
        self.stream = stream
        self.content = content
        self.sweeper = sweeper
        idleTicks = DeadlineSweeper.ticks(idle)
        deadline = sweeper.tick + idleTicks
    }

    // MARK: The connection

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweeper.add(self)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        sweeper.remove(self)
        self.context = nil
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(unwrapInboundIn(data)) }

    /// Bytes from the connection; also those that were read before it was this pipe's.
    package func take(_ buffer: ByteBuffer) {
        guard let stream, !isInputClosed else { return }
        bytesIn += buffer.readableBytes
        deadline = sweeper.tick + idleTicks
        unsafe buffer.withUnsafeReadableBytes { bytes in
            if case .webSocket(let isPeerClient, var frames, let out) = content {
                unsafe frames.pass(bytes)
                content = .webSocket(isPeerClient: isPeerClient, in: frames, out: out)
            }
            unsafe stream.send(body: bytes)
        }
    }

    package func read(context: ChannelHandlerContext) {
        // The tunnel has enough to send: what is not read waits with its sender.
        if stream?.isCongested == true { isReadHeld = true } else { context.read() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        inputEnded()
    }

    /// The connection's peer has sent its last byte.
    package func inputEnded() {
        guard !isInputClosed else { return }
        isInputClosed = true
        stream?.finish(trailers: nil)
        if isOutputClosed, isAllWritten { end(.closed) }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) { returnCredit() }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) { fail() }

    package func channelInactive(context: ChannelHandlerContext) {
        guard isOutputClosed else { return fail() }
        // The end of the other direction comes as the end of all; a reset would have come as an error.
        if !isInputClosed { stream?.finish(trailers: nil) }
        end(.closed)
    }

    /// The connection broke: the other side is told with a reset.
    private func fail() {
        stream?.cancel(.connectError)
        stream = nil
        end(.reset)
    }

    // MARK: The stream

    package func streamReceived(head fields: FieldBlock, isEnd: Bool) {}
    package func streamReceived(interim fields: FieldBlock) {}

    package func streamReceived(body: UnsafeRawBufferPointer) {
        guard let context, !isOutputClosed else { return }
        var buffer = context.channel.allocator.buffer(capacity: body.count)
        unsafe buffer.writeBytes(body)
        if case .webSocket(let isPeerClient, let incoming, var frames) = content {
            unsafe frames.pass(body)
            content = .webSocket(isPeerClient: isPeerClient, in: incoming, out: frames)
        }
        bytesOut += body.count
        uncredited += body.count
        deadline = sweeper.tick + idleTicks
        hasUnflushed = true
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    package func streamBatchEnded() {
        guard let context, hasUnflushed else { return }
        hasUnflushed = false
        context.flush()
        returnCredit()
    }

    /// What the connection has taken, the peer may send anew.
    private func returnCredit() {
        guard let context, context.channel.isWritable, uncredited > 0 else { return }
        stream?.returnCredit(uncredited)
        uncredited = 0
    }

    package func streamReceivedEnd(trailers: FieldBlock?) {
        guard let context, !isOutputClosed else { return }
        isOutputClosed = true
        hasUnflushed = false
        endWhenWritten(context)
    }

    package func streamFailed(_ failure: StreamError) {
        stream = nil
        // What was said last is still on its way.
        if isLeaving == nil { end(.reset) }
    }

    package func streamBecameWritable() {
        guard isReadHeld else { return }
        isReadHeld = false
        context?.read()
    }

    // MARK: End

    /// The stream is over, but what was written may still be on its way to a slow reader. One that reads nothing for the idle
    /// limit is cut.
    private func endWhenWritten(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let empty = context.channel.allocator.buffer(capacity: 0)
        context.writeAndFlush(wrapOutboundOut(empty)).whenComplete { _ in bound.value.allWritten() }
    }

    package func sweep(_ tick: Int) {
        guard tick >= deadline else { return }
        if let isLeaving { return end(isLeaving) }
        if sayGoodbye(.goingAway) { return leave(.idle) }
        stream?.cancel(.cancel)
        stream = nil
        end(.idle)
    }

    package func streamExpires() {
        if sayGoodbye(.goingAway) { leave(.expired) }
    }

    /// Tells both ends why this is the end, where a frame may begin.
    ///
    /// - Returns: whether both know now.
    private func sayGoodbye(_ code: WebSocketCloseCode) -> Bool {
        guard case .webSocket(let isPeerClient, let incoming, let out) = content, let context, let stream,
            incoming.isBetweenFrames, out.isBetweenFrames
        else { return false }
        if !out.isClosed, !isOutputClosed {
            let frame = WebSocketFrames.close(code, isMasked: !isPeerClient)
            context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: frame)), promise: nil)
        }
        if !incoming.isClosed, !isInputClosed {
            unsafe WebSocketFrames.close(code, isMasked: isPeerClient).withUnsafeBytes { unsafe stream.send(body: $0) }
        }
        return true
    }

    /// Ends both directions after what has been written.
    private func leave(_ end: End) {
        guard let context else { return }
        stream?.finish(trailers: nil)
        (isInputClosed, isOutputClosed) = (true, true)
        stream = nil
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let empty = context.channel.allocator.buffer(capacity: 0)
        // One that takes nothing any more is not waited for.
        deadline = sweeper.tick + DeadlineSweeper.ticks(.seconds(5))
        isLeaving = end
        context.writeAndFlush(wrapOutboundOut(empty)).whenComplete { _ in bound.value.end(end) }
    }

    private func allWritten() {
        isAllWritten = true
        if isInputClosed { end(.closed) } else { context?.close(mode: .output, promise: nil) }
    }

    /// Cuts both sides.
    package func cut() {
        if sayGoodbye(.policyViolation) { return leave(.expired) }
        stream?.cancel(.cancel)
        stream = nil
        end(.reset)
    }

    private func end(_ end: End) {
        guard let onEnd else { return }
        self.onEnd = nil
        stream = nil
        sweeper.remove(self)
        onEnd(end)
        guard let context else { return }
        guard end == .reset, let options = context.channel as? any SocketOptionProvider else {
            return context.close(promise: nil)
        }
        // Closed with a reset (socket(7), SO_LINGER), as the other side was.
        let channel = context.channel
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }
}
