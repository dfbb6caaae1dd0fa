internal import AccessPolicy
internal import AvailabilityCheck
internal import Cryptography
internal import EpollTransport
internal import NIOCore
internal import Networking
internal import TextFormats
internal import TunnelCore

/// One connection to an internal host, used by one request after the other; `UpstreamConnection.StateMachine` knows for what.
final class UpstreamConnection: ChannelInboundHandler, ChannelOutboundHandler, PooledConnection, RequestConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let system: SystemMapping
    let loop: ConnectorLoop
    /// The rules under which the internal host's certificate was accepted.
    let backendTLS: BackendTLS
    var output: OutputBuffer
    var pin: String?
    /// The user as whom it may be logged on: it answers this one's requests only. Nil for one that all share.
    var owner: [UInt8]?
    var sweepIndex = -1
    /// Since when nobody uses it.
    var idleSince = NIODeadline.uptimeNanoseconds(0)
    /// Until when the internal host means to keep it.
    var usableUntil = NIODeadline.distantFuture
    var context: ChannelHandlerContext?
    var ready: EventLoopPromise<NIOLoopBound<UpstreamConnection>>?
    var request: (any ResponseReceiver)?
    var parser: HTTP1HeadParser
    var inbound = ByteBuffer()
    var deadline = Int.max
    var machine = StateMachine.connecting
    var hasCleanEnd = false
    /// The internal host has asked for the system certificate, and got it.
    private(set) var isMutual = false
    var error: (any Error)?
    var isWritable = true
    var isReadHeld = false
    var isReadWanted = false
    let sweeper: DeadlineSweeper
    /// For the head of a response, once the request has been sent.
    let responseHead: TimeAmount
    let responseHeadTicks: Int
    let idleTicks: Int

    // The response in progress.
    var body = HTTP1BodyReader(.none, of: .response)
    var keepAlive: Int?
    /// Bytes from which on a piece of a body is sent on without being copied.
    static let largePiece = 4096

    private init(_ permit: Permit, loop: ConnectorLoop, ready: EventLoopPromise<NIOLoopBound<UpstreamConnection>>) {
        self.system = permit.system
        self.loop = loop
        self.backendTLS = loop.backendTLS
        self.ready = ready
        self.sweeper = loop.sweeper
        self.responseHead = system.responseTimeout.map { .seconds(Int64($0)) } ?? loop.configuration.responseHead
        self.responseHeadTicks = DeadlineSweeper.ticks(responseHead)
        self.idleTicks = DeadlineSweeper.ticks(loop.configuration.idle)
        self.parser = HTTP1HeadParser(.response, limits: loop.configuration.responseLimits, spares: loop.fieldSpares)
        self.output = OutputBuffer(loop.eventLoop.buffers)
    }

    // MARK: Connecting

    /// Opens a connection to the permit's system. Only a permit opens one.
    static func connect(
        _ permit: Permit,
        loop: ConnectorLoop
    ) -> EventLoopFuture<NIOLoopBound<UpstreamConnection>> {
        let eventLoop = loop.eventLoop
        let promise = eventLoop.makePromise(of: NIOLoopBound<UpstreamConnection>.self)
        let connection = NIOLoopBound(
            UpstreamConnection(permit, loop: loop, ready: promise),
            eventLoop: eventLoop
        )
        let system = permit.system
        let count = NIOLoopBound((loop: loop, metrics: loop.connectionOpens(to: system)), eventLoop: eventLoop)
        let limit = loop.configuration.connect
        HostConnection.open(
            host: system.internalHost,
            port: Int(system.internalPort),
            on: eventLoop,
            settings: SocketSettings(allowsHalfClosure: permit.allowsUpgrade),
            timeout: limit
        )
        .whenComplete { result in
            switch result {
            case .success(let channel):
                channel.closeFuture.whenComplete { _ in count.value.loop.connectionEnded(count.value.metrics) }
                do {
                    // Not before: attempts at several addresses are several channels, and only one is this.
                    try connection.value.addHandlers(to: channel, limit)
                } catch {
                    connection.value.fail(error)
                    channel.close(promise: nil)
                }
            case .failure(let error):
                count.value.loop.connectionEnded(count.value.metrics)
                connection.value.fail(error)
            }
        }
        return promise.futureResult
    }

    private func addHandlers(to channel: any Channel, _ limit: TimeAmount) throws {
        if system.protocol.isTLS {
            try channel.pipeline.syncOperations.addHandler(
                TLSHandler(
                    backendTLS.context(system),
                    serverName: system.internalHost,
                    peer: "the internal host",
                    handshakeTimeout: limit
                )
            )
        }
        try channel.pipeline.syncOperations.addHandler(self)
    }

    private func fail(_ error: any Error) {
        ready?.fail(error)
        ready = nil
    }

    private func succeed() {
        guard let context else { return }
        machine.connected()
        loop.sweeper.add(self)
        ready?.succeed(NIOLoopBound(self, eventLoop: context.eventLoop))
        ready = nil
    }

    // MARK: Use

    var isReusable: Bool { machine.isReusable }

    /// Gives the connection to a request, which has a permit for this very system.
    func begin(_ request: any ResponseReceiver, _ permit: Permit) {
        precondition(permit.system === system)
        machine.begun(isRequestComplete: request.isRequestComplete)
        self.request = request
        parser.reset()
        setDeadline()
    }

    /// While the internal host owes the head of its response, its own limit; otherwise the one for progress.
    private func setDeadline() {
        deadline = sweeper.tick + (machine.awaitsHead ? responseHeadTicks : idleTicks)
    }

    /// The request has ended: now it is the internal host's turn.
    func requestEnded() {
        machine.requestEnded()
        setDeadline()
    }

    func write(_ body: UnsafeRawBufferPointer, isChunked: Bool) {
        if isChunked {
            unsafe output.write(upTo: 20) { target in
                var writer = unsafe HeadWriter(target)
                unsafe writer.hexadecimal(body.count)
                unsafe writer.write("\r\n")
                return unsafe writer.count
            }
        }
        unsafe output.write(body)
        if isChunked { output.write("\r\n") }
    }

    func write(_ buffer: ByteBuffer) { unsafe buffer.withUnsafeReadableBytes { unsafe output.write($0) } }

    func finishChunks(_ trailers: FieldBlock?) {
        var end = ByteBuffer()
        BodyWriter.finish(trailers, to: &end)
        write(end)
    }

    /// Hands the channel what was written, and gives back credit for it: only as fast as the internal host reads.
    func flush() {
        guard let context, isWritable, machine.isBusy else { return }
        if let buffer = output.take() { context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        if isWritable, !machine.isRequestSent {
            request?.returnCredit()
            setDeadline()
        }
    }

    /// Opened for a request that is gone: the next one to the same system may have it.
    func keepUnused() {
        guard machine.keptUnused() else { return letGo() }
        idleSince = .now()
        // One that is bound to a client stays with that client.
        let limit = pin == nil ? loop.configuration.poolIdle : loop.configuration.pinnedIdle
        deadline = loop.sweeper.deadline(in: limit)
        if pin == nil, !loop.keep(self) { close() }
    }

    /// The request is of no interest any more.
    func abandon() {
        request = nil
        close()
    }

    /// Its system is no longer exposed: what is in progress may end, nothing new begins.
    func retire() {
        if machine.retired() { letGo() }
    }

    func close() {
        if machine.closing() { letGo() }
    }

    /// The machine has closed it.
    func letGo() {
        loop.forget(self)
        context?.close(promise: nil)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
        guard context.channel.isActive else { return fail(ChannelError.eof) }
        if !system.protocol.isTLS { succeed() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.sweeper.remove(self)
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let established as TLSEstablished:
            isMutual = established.sentCertificate
            succeed()
        case ChannelEvent.inputClosed:
            hasCleanEnd = true
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard machine.received() else { return letGo() }
        if inbound.readableBytes == 0 { inbound = buffer } else { inbound.writeBuffer(&buffer) }
        setDeadline()
        readResponse()
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        flush()
    }

    func read(context: ChannelHandlerContext) {
        if isReadHeld { isReadWanted = true } else { context.read() }
    }

    func resumeReading() {
        isReadHeld = false
        guard isReadWanted else { return }
        isReadWanted = false
        context?.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = error
        fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.forget(self)
        fail(error ?? ChannelError.eof)
        let isTruncated = system.protocol.isTLS && !hasCleanEnd
        let action = machine.channelClosed(
            isOrderly: error == nil && !isTruncated,
            bodyEndsSo: body.endsWithConnection
        )
        let request = self.request
        self.request = nil
        switch action {
        case .none: break
        case .finishResponse:
            request?.stream.finish(trailers: nil)
            request?.responseComplete()
        case .failIncomplete: request?.responseFailed(BackendRefusal.incomplete(system))
        case .failUnanswered(let wasReused):
            request?.upstreamClosedUnanswered(output.lastTaken, wasReused: wasReused, error: error)
        }
    }
}

extension UpstreamConnection: DeadlineObserver {
    func sweep(_ tick: Int) {
        guard tick >= deadline else { return }
        deadline = .max
        let action = machine.timedOut()
        guard case .fail(let isBody, let isItsTurn) = action else { return letGo() }
        let limit = !isBody && isItsTurn ? responseHead : loop.configuration.idle
        end(BackendRefusal.timeout(isBody ? .responseBody : .responseHead, limit, system))
    }
}
