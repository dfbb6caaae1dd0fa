package import Cryptography
internal import EpollTransport
package import NIOCore

/// What becomes of a tunnel, for those who opened or accepted it. Calls come on the tunnel's event loop.
package protocol TunnelHandlerDelegate: AnyObject {
    /// TLS and its checks have passed. Throwing ends the tunnel with that reason.
    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws
    /// A request from the service; the connector's side only.
    ///
    /// - Returns: nil where it is refused; the service may send it elsewhere.
    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)?
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
    package let dialect: TunnelDialect
    package private(set) var eventLoop: any EventLoop
    private let delegate: any TunnelHandlerDelegate
    private let pingInterval: TimeAmount
    private var keepalive: Keepalive
    private var context: ChannelHandlerContext?
    private var machine = StateMachine.connecting
    private var isFlushScheduled = false
    private var isIdleCheckPlanned = false
    /// The session's count while nothing but pings comes; nil otherwise.
    private var quietBlocks: Int?
    private var timer: Scheduled<Void>?
    private var pingCount: UInt64 = 0
    private var pingSent: NIODeadline?
    private var drainTimer: Scheduled<Void>?
    private var idleTimer: Scheduled<Void>?
    private var forecast: QueueForecast?
    /// Made once: a closure per flush would be an allocation per turn.
    private var flushTask: @Sendable () -> Void = {}

    /// Bytes handed to TLS and the socket in one go.
    private static let flushLimit = 256 << 10

    package init(
        _ role: HTTP2Session.Role,
        configuration: HTTP2Configuration,
        dialect: TunnelDialect = .standard,
        pingInterval: TimeAmount,
        eventLoop: any EventLoop,
        delegate: any TunnelHandlerDelegate
    ) {
        self.dialect = dialect
        self.session = HTTP2Session(role, configuration: configuration, dialect: dialect)
        self.delegate = delegate
        self.pingInterval = pingInterval
        self.keepalive = Keepalive(interval: pingInterval, now: .now())
        self.eventLoop = eventLoop
    }

    /// Seconds that a request which comes now would wait for a place; nil where it would not, or nobody can say yet.
    ///
    /// - Parameter limit: that is thought of.
    package func expectedWait(_ limit: TimeAmount) -> Double? {
        let waiting = session.streamCount - session.peerMaxConcurrentStreams
        guard waiting >= 0 else {
            forecast = nil
            return nil
        }
        var forecast = forecast ?? QueueForecast(window: max(.seconds(1), .nanoseconds(limit.nanoseconds / 2)))
        defer { self.forecast = forecast }
        return forecast.wait(behind: waiting, ended: session.endedCount, now: .now())
    }

    /// Bytes of one read from now on: for a peer that has shown who it is.
    package func readsMore(_ bytes: Int) { (context?.channel as? SocketChannel)?.setReadSize(bytes) }

    package var isUsable: Bool { machine.isOpen && !session.isDraining }

    /// Connections stay for long: a quarter of the streams is left to requests.
    package var hasRoomForConnection: Bool { session.streamCount < session.peerMaxConcurrentStreams * 3 / 4 }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        session.delegate = self
        session.buffers = LoopBuffers.of(context.eventLoop)
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
                machine.established()
                keepalive = Keepalive(interval: pingInterval, now: .now())
                startTimer(pingInterval)
                flush()
                planIdleCheck()
            } catch {
                machine.established()
                dismiss(error)
            }
        case ChannelEvent.inputClosed:
            close(nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func startTimer(_ delay: TimeAmount) {
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(in: delay) { handler.value.intervalPassed() }
    }

    private func intervalPassed() {
        switch keepalive.passed(.now(), jitter: .random(in: 0...1)) {
        case .sendPing(let next):
            sendPing()
            startTimer(next)
        case .declareDead: close(TunnelError.silent)
        }
        if !machine.isClosed { delegate.tunnelIntervalPassed(self) }
    }

    /// Time since the peer was heard; nil where that is no news.
    package var silence: TimeAmount? {
        guard machine.isOpen else { return nil }
        let silence = keepalive.silence(.now())
        return silence.nanoseconds > pingInterval.nanoseconds * 3 / 2 ? silence : nil
    }

    private func sendPing() {
        pingCount += 1
        pingSent = .now()
        session.ping(pingCount)
    }

    // MARK: Bytes

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now()
        keepalive.received(now)
        let bytes = unwrapInboundIn(data)
        do throws(HTTP2Error) {
            try unsafe bytes.withUnsafeReadableBytes { (bytes) throws(HTTP2Error) in
                try unsafe session.receive(bytes, now: now)
            }
        } catch {
            // Before the rest of what was read is told to anybody: the peer hears why.
            if error.code == .flood { return dismiss(error) }
            flush()
            close(error)
        }
        endIfWanted()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        session.endBatch()
        closeIfFinished()
        if let quietBlocks {
            if session.blocks != quietBlocks || session.streamCount > 1 { becomeBusy() }
        } else if !isIdleCheckPlanned, session.streamCount <= 1 {
            planIdleCheck()
        }
    }

    /// A tunnel without requests, with its control stream alone, holds no buffers after a second or two. Looked for once a
    /// second at most, so that one that is only between two requests does not allocate for each of them.
    private func planIdleCheck() {
        isIdleCheckPlanned = true
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        let blocks = session.blocks
        idleTimer = eventLoop.scheduleTask(in: .seconds(1)) { handler.value.checkIdle(blocks) }
    }

    private func checkIdle(_ blocks: Int) {
        isIdleCheckPlanned = false
        guard session.streamCount <= 1, !machine.isClosed else { return }
        guard session.blocks == blocks else { return planIdleCheck() }
        quietBlocks = blocks
        context?.triggerUserOutboundEvent(TLSIdle(), promise: nil)
    }

    /// Pings alone go on without buffers: of a thousand idle tunnels some always have one under way.
    private func becomeBusy() {
        quietBlocks = nil
        context?.triggerUserOutboundEvent(TLSBusy(), promise: nil)
        if !isIdleCheckPlanned, session.streamCount <= 1 { planIdleCheck() }
    }

    /// After the last stream of a tunnel that drains; or after a GOAWAY that nghttp2 has sent for the peer's fault, when the
    /// connection has to end (RFC 9113 section 5.4.1).
    private func closeIfFinished() {
        guard !machine.isEnding, !machine.isClosed, session.isFinished else { return }
        close(session.isDraining ? nil : HTTP2Error(.protocolViolation, "the peer broke the HTTP/2 protocol"))
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flush() }
    }

    package func channelInactive(context: ChannelHandlerContext) { ended() }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(error)
    }

    private func scheduleFlush() {
        guard !isFlushScheduled, !machine.isClosed else { return }
        isFlushScheduled = true
        // Runs after the sockets of this turn, so one write carries what all of them produced.
        eventLoop.execute(flushTask)
    }

    private func flushScheduled() {
        isFlushScheduled = false
        flush()
    }

    private func flush() {
        guard let context, machine.mayWrite, context.channel.isWritable else { return }
        defer { endIfWanted() }
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
        guard !machine.isClosed, drainTimer == nil else { return }
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        drainTimer = eventLoop.scheduleTask(in: limit) { handler.value.expire() }
        guard !session.isDraining else { return }
        switch machine.drains(ping: pingCount + 1, mayAnnounce: session.role == .server) {
        case .none: break
        case .announce:
            session.announceShutdown()
            sendPing()
        case .sayGoodbye:
            delegate.tunnelShutdownSeen(self)
            session.goAway(reason: reason)
        case .end: close(nil)
        }
    }

    /// What has not ended by itself is told so, and given a moment to say goodbye.
    private func expire() {
        guard !machine.isClosed else { return }
        session.expireAll()
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        drainTimer = eventLoop.scheduleTask(in: .milliseconds(100)) { handler.value.close(nil) }
    }

    /// Ends the tunnel and all its streams, and tells the peer why.
    package func dismiss(_ reason: any Error) {
        guard !machine.isClosed, !machine.isEnding else { return }
        session.goAway(.enhanceYourCalm, reason: "\(reason)")
        close(reason)
    }

    /// Ends the tunnel and all its streams. Asked for by what a frame has brought, it happens when all that came with the
    /// frame has been looked at: `HTTP2Session.AtRest`.
    package func close(_ reason: (any Error)?) {
        machine.wantsEnd(reason)
        endIfWanted()
    }

    private func endIfWanted() {
        guard machine.mustEnd, let proof = session.atRest else { return }
        machine.beginsEnd()
        // A farewell, if there is one.
        flush()
        context?.close(promise: nil)
        end(proof)
    }

    /// The channel is gone.
    private func ended() {
        machine.wantsEnd(nil)
        if let proof = session.atRest { end(proof) }
    }

    private func end(_ proof: consuming HTTP2Session.AtRest) {
        guard case .tell(let reason) = machine.closes() else { return }
        timer?.cancel()
        drainTimer?.cancel()
        idleTimer?.cancel()
        session.failAll(StreamError(endOf: reason), proof)
        delegate.tunnelClosed(self, reason)
    }
}

extension TunnelHandler: HTTP2SessionDelegate {
    package func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
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
        guard machine.receivedPingAnswer(payload), !session.isDraining else { return }
        delegate.tunnelShutdownSeen(self)
        session.goAway()
    }

    package func sessionReceivedSettings(_ session: HTTP2Session) {
        guard machine.receivedSettings() else { return }
        sendPing()
        delegate.tunnelReady(self)
    }

    package func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway) {
        delegate.tunnelDraining(self, goAway)
    }

    package func sessionPostponesResets(_ session: HTTP2Session) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .milliseconds(250)) {
            guard !bound.value.machine.isClosed else { return }
            bound.value.session.timePassed(.now())
        }
    }
}
