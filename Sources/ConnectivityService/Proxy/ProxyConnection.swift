internal import AccessPolicy
internal import Glibc
internal import Logging
internal import NIOCore
internal import Telemetry
internal import Tracing
internal import TunnelCore

/// One client connection of the proxy entry: reads HTTP/1.1 requests, sends each down a tunnel, writes the response.
///
///     head ──▶ body ──▶ waiting ──▶ head …          one request after the other; pipelined ones wait
///       └────────┴─────────┴──▶ lingering ──▶ closed   after an answer that ends the connection
///
/// The request side is in `ProxyConnection+Request.swift`, the response side in `ProxyConnection+Response.swift`.
final class ProxyConnection: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase { case head, body, waiting, lingering, closed }

    /// Octets up to which what was read is copied.
    static let smallInbound = 4096

    let loop: ProxyLoop
    var context: ChannelHandlerContext?
    var phase = Phase.head
    var parser: HTTP1HeadParser
    var inbound: ByteBuffer
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
    /// Authentication that is bound to a backend connection binds this connection to one tunnel.
    var pin: (tunnel: RegisteredTunnel, value: [UInt8])?

    /// Of an exchange; kept apart, so that the others need not clear it.
    final class Rare {
        /// Of a request with a body, until its response begins.
        var head: FieldBlock?
        /// Method and target, when there is an access log.
        var access: String?
        /// For requests that somebody traces.
        var span: (any Span)?
    }

    struct Exchange {
        var isHead = false
        var minorVersion = 1
        var isKeptAlive = true
        /// Octets of `inbound` that hold the head, kept until the response begins, so that a refused request can be
        /// sent again.
        var headLength = 0
        var requestRemaining = 0
        var chunks: ChunkedDecoder?
        var trailers: FieldBlock?
        var isRequestComplete = false
        var isResponseStarted = false
        var isResponseChunked = false
        var isResponseComplete = false
        var uncredited = 0
        var tunnel: RegisteredTunnel?
        var refusedBy: [Int] = []
        // For metrics, access log and audit log.
        var started: NIODeadline = .uptimeNanoseconds(0)
        var isOpen = false
        var status = 0
        var requestOctets = 0
        var responseOctets = 0
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

    init(loop: ProxyLoop, allocator: ByteBufferAllocator) {
        self.loop = loop
        self.metrics = loop.unmatched
        self.parser = HTTP1HeadParser(.request, limits: loop.configuration.limits)
        self.inbound = allocator.buffer(capacity: 0)
        self.output = OutputBuffer(allocator: allocator)
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
        loop.connectionCount -= 1
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard phase != .lingering, phase != .closed else { return }
        if inbound.readableBytes == 0, buffer.readableBytes > Self.smallInbound {
            inbound = buffer
        } else {
            // A head waits for its response; copied, it does not keep the channel from using its large buffer again.
            if inbound.readableBytes == 0 { inbound.clear() }
            inbound.writeBuffer(&buffer)
        }
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // A large buffer is the channel's, and the next read can use it.
        if inbound.readableBytes == 0, inbound.capacity > Self.smallInbound { inbound = ByteBuffer() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            inputClosed()
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        settle()
        abandonStream()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the client, mostly; the stream is cancelled with the connection.
        context.close(promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable { flushOutput() }
    }

    /// The client has sent its last octet; it may still read.
    private func inputClosed() {
        isInputClosed = true
        switch phase {
        case .head where inbound.readableBytes == 0: close()
        case .head, .body:
            let refusal = Refusal(
                status: 400,
                source: .client,
                phase: .request,
                cause: "the client ended the request too early",
                proxyStatus: "http_request_error",
                text: "The request is not complete."
            )
            if stream != nil { stream?.cancel(.cancel) }
            stream = nil
            refuse(refusal)
        case .waiting: break
        case .lingering, .closed: close()
        }
    }

    // MARK: Reading only as fast as the tunnel takes it

    func read(context: ChannelHandlerContext) {
        if isReadHeld { isReadWanted = true } else { context.read() }
    }

    func updateReading() {
        let isPipelineFull = phase == .waiting && inbound.readableBytes > loop.configuration.limits.head
        isReadHeld = phase != .lingering && (isPipelineFull || (stream?.isCongested ?? false))
        if !isReadHeld, isReadWanted {
            isReadWanted = false
            context?.read()
        }
    }

    // MARK: Ending

    func abandonStream() {
        stream?.cancel(.cancel)
        stream = nil
    }

    /// Closes in order: what was written goes out first.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        settle()
        abandonStream()
        context?.close(promise: nil)
    }

    /// Cuts the connection in a way that the client cannot take for the end of a response.
    func abort() {
        guard phase != .closed, let context else { return }
        phase = .closed
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

    /// Ends the connection after an answer, leaving the client time to read it: octets that arrive on a closed socket
    /// would reset the connection, and the answer with it.
    func lingerAndClose() {
        guard phase != .closed else { return }
        phase = .lingering
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
        if let drainTick = loop.drainTick, tick >= drainTick, phase == .head, parser.isIdle, inbound.readableBytes == 0
        {
            return close()
        }
        guard tick >= deadline else { return }
        let times = loop.configuration.times
        switch phase {
        case .head where parser.isIdle: close()
        case .head:
            refuse(timeout(408, "the request head did not arrive within \(times.requestHead.seconds) seconds"))
        case .body:
            abandonStream()
            refuse(timeout(408, "the request body made no progress for \(times.requestBody.seconds) seconds"))
        case .waiting:
            abandonStream()
            if exchange.isResponseStarted {
                abort()
            } else {
                refuse(timeout(504, "the tunnel brought no answer within \(times.exchange.seconds) seconds"))
            }
        case .lingering, .closed: close()
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
