package import NIOCore

/// What becomes of a tunnel, for those who opened or accepted it. Calls come on the tunnel's event loop.
package protocol TunnelHandlerDelegate: AnyObject {
    /// TLS and its checks have passed. Throwing ends the tunnel with that reason.
    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws
    /// A request from the service; the connector's side only.
    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> any StreamReceiver
    /// The peer's first frames are here: both sides have accepted each other.
    func tunnelReady(_ tunnel: TunnelHandler)
    /// The peer wants no new streams.
    func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway)
    /// Our own shutdown has come so far that no new streams begin: what is not a request can end.
    func tunnelShutdownSeen(_ tunnel: TunnelHandler)
    /// Another ping interval is over, whatever came in it.
    func tunnelIntervalPassed(_ tunnel: TunnelHandler)
    /// A ping was answered; `roundTrip` includes the time it waited behind other data.
    func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount)
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
    private var pingSent: NIODeadline?
    private var isReady = false
    /// The ping whose answer proves that the peer has seen the announcement of our shutdown.
    private var shutdownPing: UInt64?
    private var drainTimer: Scheduled<Void>?
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

    /// Connections stay for long: a quarter of the streams is left to requests.
    package var hasRoomForConnection: Bool { session.streamCount < session.peerMaxConcurrentStreams * 3 / 4 }

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
                isEstablished = true
                dismiss(error)
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
        case .none, .sendPing: sendPing()
        case .declareDead: close(TunnelError.silent)
        }
        if !isClosed { delegate.tunnelIntervalPassed(self) }
    }

    private func sendPing() {
        pingCount += 1
        pingSent = .now()
        session.ping(pingCount)
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
        closeIfFinished()
    }

    private func closeIfFinished() {
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
            guard let output = try session.produce(limit: Self.flushLimit) else { return closeIfFinished() }
            let isMore = output.readableBytes >= Self.flushLimit
            context.writeAndFlush(wrapOutboundOut(output), promise: nil)
            // Others get their turn before the rest.
            if isMore { scheduleFlush() } else { closeIfFinished() }
        } catch {
            close(error)
        }
    }

    // MARK: Ending

    /// Says goodbye; streams in flight go on, and the tunnel closes itself after the last one.
    ///
    /// A connector first announces it and waits for the answer to a ping, so that no request that is already on its way
    /// is refused.
    ///
    /// - Parameter limit: after which the tunnel is cut.
    package func drain(_ reason: String = "", limit: TimeAmount) {
        guard !isClosed, drainTimer == nil else { return }
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        drainTimer = eventLoop.scheduleTask(in: limit) { handler.value.close(nil) }
        guard !session.isDraining else { return }
        guard session.role == .server, isEstablished else {
            delegate.tunnelShutdownSeen(self)
            return session.goAway(reason: reason)
        }
        session.announceShutdown()
        sendPing()
        shutdownPing = pingCount
    }

    /// Ends the tunnel and all its streams, and tells the peer why.
    package func dismiss(_ reason: any Error) {
        guard !isClosed else { return }
        closeReason = reason
        session.goAway(.enhanceYourCalm, reason: "\(reason)")
        flush()
        close(reason)
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
        drainTimer?.cancel()
        session.failAll(.tunnelClosed)
        delegate.tunnelClosed(self, closeReason)
    }
}

/// Why a tunnel was given up.
package enum TunnelError: String, Error, Sendable, CustomStringConvertible {
    case silent = "the peer has not answered two pings in a row"
    case noIdentity = "the peer's certificate names no subaccount and location ID"
    case revoked = "the connector's certificate is revoked"
    case certificateExpired = "the connector's certificate has expired"
    case superseded = "superseded by a later session of the same connector"
    case control = "the peer does not keep to the protocol of the control stream"

    package var description: String { rawValue }
}

extension TunnelHandler: HTTP2SessionDelegate {
    package func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> any StreamReceiver {
        delegate.tunnel(self, accept: stream)
    }

    package func sessionNeedsFlush(_ session: HTTP2Session) { scheduleFlush() }

    package func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64) {
        if payload == pingCount, let sent = pingSent {
            pingSent = nil
            let roundTrip = NIODeadline.now() - sent
            session.measured(roundTrip: roundTrip)
            delegate.tunnel(self, measured: roundTrip)
        }
        guard let shutdownPing, payload >= shutdownPing, !session.isDraining else { return }
        delegate.tunnelShutdownSeen(self)
        session.goAway()
    }

    package func sessionReceivedSettings(_ session: HTTP2Session) {
        guard !isReady else { return }
        isReady = true
        sendPing()
        delegate.tunnelReady(self)
    }

    package func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway) {
        delegate.tunnelDraining(self, goAway)
    }
}
