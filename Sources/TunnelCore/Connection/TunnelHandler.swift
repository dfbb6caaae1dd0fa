package import NIOCore

/// What becomes of a tunnel, for those who opened or accepted it. Calls come on the tunnel's event loop.
package protocol TunnelHandlerDelegate: AnyObject {
    /// TLS and its checks have passed. Throwing ends the tunnel with that reason.
    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws
    /// A request from the service; the connector's side only.
    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> any StreamReceiver
    /// The peer wants no new streams.
    func tunnelDraining(_ tunnel: TunnelHandler)
    /// The tunnel is gone. Called once.
    func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?)
}

/// Drives one tunnel session on a channel that carries its plaintext.
///
/// Everything that a turn of the event loop produces goes out in one write: that is what makes a tunnel cheap.
package final class TunnelHandler: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package let session: HTTP2Session
    package private(set) var eventLoop: any EventLoop
    private let delegate: any TunnelHandlerDelegate
    private let pingInterval: TimeAmount
    private var keepalive = Keepalive()
    private var context: ChannelHandlerContext?
    private var isEstablished = false
    private var isFlushScheduled = false
    private var isClosed = false
    private var closeReason: (any Error)?
    private var timer: RepeatedTask?
    private var pingCount: UInt64 = 0
    /// Made once: a closure per flush would be an allocation per turn.
    private var flushTask: @Sendable () -> Void = {}

    /// Octets handed to TLS and the socket in one go.
    private static let flushLimit = 256 << 10

    package init(
        _ role: HTTP2Session.Role,
        configuration: HTTP2Configuration,
        pingInterval: TimeAmount,
        eventLoop: any EventLoop,
        delegate: any TunnelHandlerDelegate
    ) {
        self.session = HTTP2Session(role, configuration: configuration)
        self.delegate = delegate
        self.pingInterval = pingInterval
        self.eventLoop = eventLoop
    }

    package var isUsable: Bool { isEstablished && !isClosed && !session.isDraining }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        session.delegate = self
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        flushTask = { handler.value.flushScheduled() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        session.delegate = nil
        flushTask = {}
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let tls as TLSEstablished:
            do {
                try delegate.tunnelEstablished(self, tls)
                isEstablished = true
                startTimer(context)
                flush()
            } catch {
                close(error)
            }
        case ChannelEvent.inputClosed:
            close(nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func startTimer(_ context: ChannelHandlerContext) {
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        // A third of jitter keeps the pings of many tunnels apart.
        timer = context.eventLoop.scheduleRepeatedTask(
            initialDelay: pingInterval,
            delay: pingInterval,
            maximumAllowableJitter: .nanoseconds(pingInterval.nanoseconds / 3),
            notifying: nil
        ) { _ in handler.value.intervalPassed() }
    }

    private func intervalPassed() {
        session.resetControlFrameCount()
        switch keepalive.intervalPassed() {
        case .none: break
        case .sendPing:
            pingCount += 1
            session.ping(pingCount)
        case .declareDead: close(TunnelError.silent)
        }
    }

    // MARK: Octets

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        keepalive.received()
        let octets = unwrapInboundIn(data)
        do throws(HTTP2Error) {
            try octets.withUnsafeReadableBytes { (octets) throws(HTTP2Error) in
                try session.receive(octets, now: .now())
            }
        } catch {
            flush()
            close(error)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        session.endBatch()
        if session.isDraining, session.isFinished { close(nil) }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flush() }
    }

    package func channelInactive(context: ChannelHandlerContext) { ended() }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(error)
    }

    private func scheduleFlush() {
        guard !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        // Runs after the sockets of this turn, so one write carries what all of them produced.
        eventLoop.execute(flushTask)
    }

    private func flushScheduled() {
        isFlushScheduled = false
        flush()
    }

    private func flush() {
        guard let context, isEstablished, !isClosed, context.channel.isWritable else { return }
        do throws(HTTP2Error) {
            guard let output = try session.produce(limit: Self.flushLimit) else { return }
            let isMore = output.readableBytes >= Self.flushLimit
            context.writeAndFlush(wrapOutboundOut(output), promise: nil)
            // Others get their turn before the rest.
            if isMore { scheduleFlush() }
        } catch {
            close(error)
        }
    }

    // MARK: Ending

    /// Says goodbye; streams in flight go on.
    package func drain() {
        guard !isClosed else { return }
        session.goAway()
    }

    /// Ends the tunnel and all its streams.
    package func close(_ reason: (any Error)?) {
        guard !isClosed else { return }
        closeReason = closeReason ?? reason
        context?.close(promise: nil)
        ended()
    }

    private func ended() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        session.failAll(.tunnelClosed)
        delegate.tunnelClosed(self, closeReason)
    }
}

/// Why a tunnel was given up.
package enum TunnelError: String, Error, Sendable, CustomStringConvertible {
    case silent = "the peer has not answered two pings in a row"
    case noIdentity = "the peer's certificate names no subaccount and location ID"

    package var description: String { rawValue }
}

extension TunnelHandler: HTTP2SessionDelegate {
    package func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> any StreamReceiver {
        delegate.tunnel(self, accept: stream)
    }

    package func sessionNeedsFlush(_ session: HTTP2Session) { scheduleFlush() }

    package func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64) {}

    package func sessionReceivedGoAway(_ session: HTTP2Session, lastStreamID: Int32, errorCode: UInt32) {
        delegate.tunnelDraining(self)
    }
}
