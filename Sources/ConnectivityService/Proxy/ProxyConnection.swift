internal import Cryptography
internal import EpollTransport
internal import Glibc
internal import Logging
internal import NIOCore
internal import Networking
internal import TextFormats
internal import Tracing
internal import TunnelCore

/// One client connection of the proxy entry: reads HTTP/1.1 requests, sends each down a tunnel, writes the response. It does as
/// `ProxyConnection.StateMachine` says.
///
/// The request side is in `ProxyConnection+Request.swift`, the response side in `ProxyConnection+Response.swift`.
final class ProxyConnection: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loop: ProxyLoop
    var context: ChannelHandlerContext?
    var machine = StateMachine.head
    var parser: HTTP1HeadParser
    var inbound = ByteBuffer()
    var output: OutputBuffer
    var sweepIndex = -1
    var deadline = Int.max
    var isInputClosed = false
    /// Kept here, because asking the channel costs more than remembering what it said.
    var isWritable = true
    private var isReadHeld = false
    private var isReadWanted = false
    var isProcessing = false

    // The exchange in progress.
    var stream: (any TunnelStream)?
    var exchange = Exchange()
    var metered: Metered?
    /// It has asked for more than it may, and waits for its turn.
    var turn: RefusalTurn?
    /// Of the request in progress.
    var body = HTTP1BodyReader(.none, of: .request)
    /// The group asked for last: clients rarely change their location ID.
    var group: TunnelGroup?
    var metrics: ConnectorMetrics
    var groupLocationID: [UInt8] = []
    var groupSubaccount = ""
    var principal = ConnectionPrincipal()
    /// Nil until the first request has a tunnel.
    var binding: Binding?
    /// The only tunnel of `group` on this loop, as of a version of the group.
    var onlyTunnel: (tunnel: RegisteredTunnel, handler: TunnelHandler)?
    var onlyTunnelVersion = -1
    /// After a CONNECT.
    var inside: Inside?
    /// Authentication that is bound to a backend connection binds this connection to one tunnel.
    var pin: (tunnel: RegisteredTunnel, value: [UInt8])?
    let client: SocketAddress?
    /// The subaccount that this connection counts for.
    var tenant: TenantUsage?
    /// Bytes of the response that count as held by `tenant`.
    private var held = 0
    /// The tick since which the client has taken nothing.
    private(set) var stalledSince = Int.max
    /// Bytes of a body that have not earned a tick yet.
    var bodyRemainder = 0

    /// Of an exchange; kept apart, so that the others need not clear it.
    final class Rare {
        /// Of a request with a body, until its response begins.
        var head: FieldBlock?
        /// Method and target, when there is an access log.
        var access: String?
        /// For requests that somebody traces.
        var span: (any Span)?
        /// As the client named it.
        var ownID: RequestID?
        /// What the connector spent inside, in microseconds, where it says so.
        var connectTime: Int64?
        var backendTime: Int64?
        /// With which the client asked for WebSocket.
        var webSocketKey: String?
        /// Seconds that it would have waited for a place in a tunnel, which was too long.
        var expectedWait: Double?
        /// As a trusted peer says it.
        var client: SocketAddress?
    }

    struct Exchange {
        var isHead = false
        var minorVersion = 1
        var isKeptAlive = true
        /// Bytes of `inbound` that hold the head, kept until the response begins, so that a refused request can be
        /// sent again.
        var headLength = 0
        var isResponseChunked = false
        var uncredited = 0
        var tunnel: RegisteredTunnel?
        var refusedBy: [Int] = []
        /// Where several connectors serve side by side, or another service has the tunnels.
        var place: AnyObject?
        /// Where something is limited.
        var admission: Admission?
        // For metrics, access log and audit log.
        var started: NIODeadline = .uptimeNanoseconds(0)
        var isOpen = false
        var id: RequestID?
        /// Its number among the recent requests.
        var recent = -1
        /// The client can tell the end of the response from the end of the connection.
        var isDelimited = false
        var status = 0
        var requestBytes = 0
        var responseBytes = 0
        var tunnelTime: Int64 = 0
        /// What few requests have.
        var rare: Rare?
    }

    /// Of the exchange in progress, made when it is first needed.
    var rare: Rare {
        if let rare = exchange.rare { return rare }
        let rare = Rare()
        exchange.rare = rare
        return rare
    }

    /// - Parameter client: if it is known better than by the connection's other end.
    init(loop: ProxyLoop, client: SocketAddress? = nil) {
        self.loop = loop
        self.client = client
        self.metrics = loop.unmatched
        self.parser = HTTP1HeadParser(.request, limits: loop.configuration.limits, spares: loop.fieldSpares)
        self.output = OutputBuffer(loop.buffers)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.sweeper.add(self)
        loop.connectionCount += 1
        deadline = loop.sweeper.tick + loop.ticks.keepAlive
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.sweeper.remove(self)
        loop.goesOn(self)
        leaveTurn()
        // What was upgraded keeps its place until it ends.
        if machine.phase != .upgraded { giveUpPlace() }
        self.context = nil
    }

    func giveUpPlace() {
        loop.connectionCount -= 1
        count(for: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch machine.phase {
        case .lingering, .upgraded, .closed: return
        case .head, .body, .waiting: break
        }
        if inbound.readableBytes == 0, buffer.readableBytes > LoopBuffers.smallSize {
            inbound = buffer
        } else {
            // A head waits for its response; copied, it does not keep the channel from using its large buffer again.
            if inbound.capacity == 0 { inbound = loop.buffers.takeSmall() }
            if inbound.readableBytes == 0 { inbound.clear() }
            inbound.writeBuffer(&buffer)
        }
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // A large buffer is the channel's, and the next read can use it.
        if inbound.readableBytes == 0, inbound.capacity > LoopBuffers.smallSize { inbound = ByteBuffer() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            inputClosed()
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        _ = machine.closing()
        settle()
        abandonStream()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the client, mostly; the stream is cancelled with the connection.
        if let error = error as? TLSError {
            loop.logger.info(
                "client's TLS failed",
                metadata: ["client": "\(clientAddress?.text ?? "")", "cause": "\(error)"]
            )
        }
        context.close(promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            stalledSince = .max
            loop.goesOn(self)
            flushOutput()
        } else {
            stalledSince = loop.sweeper.tick
            loop.stalls(self)
        }
    }

    // MARK: What the client's subaccount takes

    /// - Returns: whether the subaccount may have another connection. Without tokens there is one subaccount, and nobody to
    ///   share with.
    @discardableResult
    func count(for usage: TenantUsage?) -> Bool {
        guard usage !== tenant else { return true }
        if let usage, loop.configuration.tokens != nil, usage.connectionCount >= loop.tenantShare { return false }
        hold(0)
        tenant?.removeConnection()
        usage?.addConnection()
        tenant = usage
        return true
    }

    /// Says how much of the response waits for the client.
    func hold(_ bytes: Int) {
        guard bytes != held else { return }
        tenant?.hold(bytes - held)
        held = bytes
    }

    /// Makes room for others.
    func shed() {
        loop.logger.warning(
            "client cut: it takes nothing of its response, and others wait",
            metadata: ["client": "\(clientAddress?.text ?? "")"]
        )
        abort()
    }

    /// The client has sent its last byte; it may still read.
    private func inputClosed() {
        isInputClosed = true
        if isAnswerDue { return }
        switch machine.inputEnded(hasBytes: inbound.readableBytes > 0) {
        case .none: break
        case .close: close()
        case .refuse:
            stream?.cancel(.cancel)
            stream = nil
            refuse(Self.endedTooEarly)
        }
    }

    private static let endedTooEarly = Refusal(
        status: 400,
        source: .client,
        phase: .request,
        cause: "the client ended the request too early",
        proxyStatus: "http_request_error",
        text: "The request is not complete."
    )

    // MARK: Reading only as fast as the tunnel takes it

    func read(context: ChannelHandlerContext) {
        if isReadHeld { isReadWanted = true } else { context.read() }
    }

    /// Another handler has the channel now.
    func resumeReading(_ channel: any Channel) {
        if isReadWanted { channel.read() }
    }

    func updateReading() {
        let phase = machine.phase
        let isPipelineFull = phase == .waiting && inbound.readableBytes > loop.configuration.limits.head
        let wasHeld = isReadHeld
        isReadHeld = phase != .lingering && (isPipelineFull || (stream?.isCongested ?? false) || turn != nil)
        if phase == .body, isReadHeld != wasHeld {
            // While the tunnel does not take it, the client is not to blame.
            deadline = loop.sweeper.tick + (isReadHeld ? loop.ticks.exchange : loop.ticks.bodyGrace)
        }
        if !isReadHeld, isReadWanted {
            isReadWanted = false
            context?.read()
        }
    }

    // MARK: Ending

    func abandonStream() {
        stream?.cancel(.cancel)
        stream = nil
        hold(0)
    }

    /// Closes in order: what was written goes out first.
    func close() {
        guard machine.closing() else { return }
        settle()
        abandonStream()
        context?.close(promise: nil)
    }

    /// Cuts the connection in a way that the client cannot take for the end of a response.
    func abort() {
        guard let context, machine.closing() else { return }
        settle(isCut: true)
        abandonStream()
        if let socket = context.channel as? any SocketOptionProvider {
            socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        } else {
            context.close(promise: nil)
        }
    }

    /// Ends the connection after an answer, leaving the client time to read it: bytes that arrive on a closed socket
    /// would reset the connection, and the answer with it.
    func lingerAndClose() {
        guard machine.lingers() else { return }
        inbound.clear()
        deadline = loop.sweeper.tick + loop.ticks.lingering
        if isInputClosed {
            close()
        } else {
            updateReading()
            context?.close(mode: .output, promise: nil)
        }
    }
}

extension ProxyConnection: DeadlineObserver {
    func sweep(_ tick: Int) {
        if machine.phase == .head, parser.isIdle, inbound.readableBytes == 0 {
            if let drainTick = loop.drainTick, tick >= drainTick { return close() }
            let isCrowdedOut = tick >= deadline - loop.ticks.keepAlive + loop.ticks.crowdedIdle
            if loop.isCrowded, loop.memory.isShort || isCrowdedOut { return close() }
        }
        guard tick >= deadline, !isAnswerDue else { return }
        let times = loop.configuration.times
        switch machine.timedOut(isIdle: parser.isIdle) {
        case .close: close()
        case .refuseHead:
            refuse(timeout(408, "the request head did not arrive within \(times.requestHead.seconds) seconds"))
        case .refuseBody:
            abandonStream()
            let rate = loop.configuration.minimumBodyRate
            refuse(
                timeout(
                    408,
                    rate == 0
                        ? "the request body made no progress for \(times.requestBody.seconds) seconds"
                        : "the request body came slower than \(rate) bytes a second"
                )
            )
        case .refuseWaiting:
            abandonStream()
            refuse(timeout(504, "the tunnel brought no answer within \(times.exchange.seconds) seconds"))
        case .abort:
            abandonStream()
            abort()
        }
    }

    private func timeout(_ status: UInt16, _ cause: String) -> Refusal {
        Refusal(
            status: status,
            source: status == 504 ? .tunnel : .client,
            phase: status == 504 ? .responseHead : .request,
            cause: cause,
            proxyStatus: status == 504 ? "http_response_timeout" : "http_request_error",
            text: "Timed out: \(cause)."
        )
    }
}

extension TimeAmount {
    var seconds: Int64 { nanoseconds / 1_000_000_000 }
}
