internal import AccessPolicy
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// One connection to an internal host, used by one request after the other.
///
///     connecting ──▶ idle (pool) ──begin──▶ busy ──response and request complete──▶ idle …
///                      └──────── closed by either side ────────┴──▶ closed
final class UpstreamConnection: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let system: SystemMapping
    let loop: ConnectorLoop
    /// The rules under which the internal host's certificate was accepted.
    let tls: TLSContext
    var output: OutputBuffer
    var pin: String?
    var sweepIndex = -1
    private var context: ChannelHandlerContext?
    private var ready: EventLoopPromise<NIOLoopBound<UpstreamConnection>>?
    private var request: ForwardedRequest?
    private var parser: HTTP1HeadParser
    private var inbound = ByteBuffer()
    private var deadline = Int.max
    private var isClosed = false
    private var isRetired = false
    private var hasCleanEnd = false
    private var error: (any Error)?
    private var isWritable = true
    private var isReadHeld = false
    private var isReadWanted = false
    private var useCount = 0
    private var isRequestSent = false
    private let sweeper: DeadlineSweeper
    private let responseHeadTicks: Int
    private let idleTicks: Int

    // The response in progress.
    private enum Reading { case head, body, complete }
    private var reading = Reading.head
    private var framing: HTTP1HeadParser.ResponseFraming?
    private var remaining = 0
    private var chunks: ChunkedDecoder?
    private var trailers: FieldBlock?
    private var interimCount = 0
    private var hasAnswered = false

    private init(_ permit: Permit, loop: ConnectorLoop, ready: EventLoopPromise<NIOLoopBound<UpstreamConnection>>) {
        self.system = permit.system
        self.loop = loop
        self.tls = loop.backendTLS
        self.ready = ready
        self.sweeper = loop.sweeper
        self.responseHeadTicks = DeadlineSweeper.ticks(loop.configuration.responseHead)
        self.idleTicks = DeadlineSweeper.ticks(loop.configuration.idle)
        self.parser = HTTP1HeadParser(.response, limits: loop.configuration.responseLimits)
        self.output = OutputBuffer(allocator: ByteBufferAllocator())
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
        loop.connectionCount += 1
        let count = NIOLoopBound(loop, eventLoop: eventLoop)
        let system = permit.system
        let limit = loop.configuration.connect
        ClientBootstrap(group: eventLoop)
            .resolver(HostResolver(on: eventLoop))
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
            .channelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 128 << 10))
            .connect(host: system.internalHost, port: Int(system.internalPort))
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    channel.closeFuture.whenComplete { _ in count.value.connectionCount -= 1 }
                    do {
                        // Not before: attempts at several addresses are several channels, and only one is this.
                        try connection.value.addHandlers(to: channel, limit)
                    } catch {
                        connection.value.fail(error)
                        channel.close(promise: nil)
                    }
                case .failure(let error):
                    count.value.connectionCount -= 1
                    connection.value.fail(error)
                }
            }
        return promise.futureResult
    }

    private func addHandlers(to channel: any Channel, _ limit: TimeAmount) throws {
        if system.protocol.isTLS {
            try channel.pipeline.syncOperations.addHandler(
                TLSHandler(
                    tls,
                    serverName: system.internalHost,
                    peer: "the internal host \(system.internalAddress)",
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
        loop.sweeper.add(self)
        ready?.succeed(NIOLoopBound(self, eventLoop: context.eventLoop))
        ready = nil
    }

    // MARK: Use

    var isReusable: Bool { !isClosed && request == nil }

    /// Gives the connection to a request, which has a permit for this very system.
    func begin(_ request: ForwardedRequest, _ permit: Permit) {
        precondition(permit.system === system && isReusable)
        self.request = request
        useCount += 1
        reading = .head
        framing = nil
        chunks = nil
        trailers = nil
        interimCount = 0
        hasAnswered = false
        parser.reset()
        isRequestSent = request.isRequestComplete
        setDeadline()
    }

    /// While the internal host owes the head of its response, its own limit; otherwise the one for progress.
    private func setDeadline() {
        deadline = sweeper.tick + (reading == .head && isRequestSent ? responseHeadTicks : idleTicks)
    }

    /// The request has ended: now it is the internal host's turn.
    func requestEnded() {
        isRequestSent = true
        setDeadline()
    }

    func write(_ body: UnsafeRawBufferPointer, isChunked: Bool) {
        if isChunked {
            output.write(upTo: 20) { target in
                var writer = HeadWriter(target)
                writer.hexadecimal(body.count)
                writer.write("\r\n")
                return writer.count
            }
        }
        output.write(body)
        if isChunked { output.write("\r\n") }
    }

    func write(_ buffer: ByteBuffer) { buffer.withUnsafeReadableBytes { output.write($0) } }

    func finishChunks(_ trailers: FieldBlock?) {
        var end = ByteBuffer()
        BodyWriter.finish(trailers, to: &end)
        write(end)
    }

    /// Hands the channel what was written, and gives back credit for it: only as fast as the internal host reads.
    func flush() {
        guard let context, !isClosed, isWritable else { return }
        if let buffer = output.take() { context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        if !isRequestSent, isWritable {
            request?.returnCredit()
            setDeadline()
        }
    }

    /// The request is of no interest any more.
    func abandon() {
        request = nil
        close()
    }

    /// Its system is no longer exposed: what is in progress may end, nothing new begins.
    func retire() {
        isRetired = true
        if request == nil { close() }
    }

    private func close() {
        guard !isClosed else { return }
        isClosed = true
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
        case is TLSEstablished: succeed()
        case ChannelEvent.inputClosed:
            hasCleanEnd = true
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard request != nil else {
            // Nobody asked: what follows cannot be trusted to answer anything.
            return close()
        }
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
        isClosed = true
        loop.forget(self)
        fail(error ?? ChannelError.eof)
        guard let request else { return }
        self.request = nil
        let isTruncated = system.protocol.isTLS && !hasCleanEnd
        if reading == .body, framing?.body == .untilClose, error == nil, !isTruncated {
            request.stream.finish(trailers: nil)
            request.responseComplete()
        } else if hasAnswered {
            request.responseFailed(BackendRefusal.incomplete(system))
        } else {
            request.upstreamClosedUnanswered(output.lastTaken, wasReused: useCount > 1, error: error)
        }
    }

    // MARK: Response

    private func readResponse() {
        do throws(HTTP1Error) {
            while inbound.readableBytes > 0, request != nil {
                switch reading {
                case .head:
                    hasAnswered = true
                    guard try readHead() else { return }
                case .body:
                    if chunks != nil { try readChunks() } else { readPlainBody() }
                    if reading == .body { return }
                case .complete: return close()
                }
            }
        } catch {
            let failed = request
            let isBody = reading == .body
            request = nil
            close()
            failed?.responseFailed(BackendRefusal.invalidResponse(error, system, isBody: isBody))
        }
    }

    /// - Returns: whether a head was complete.
    private func readHead() throws(HTTP1Error) -> Bool {
        guard let request else { return false }
        let isComplete = try inbound.withUnsafeReadableBytes { (octets) throws(HTTP1Error) in
            try parser.parse(octets)
        }
        guard isComplete else { return false }
        if parser.status == 101 { return refuseUpgrade() }
        let isInterim = parser.status < 200
        if isInterim {
            interimCount += 1
            guard interimCount <= loop.configuration.maxInterim else { throw .invalidStatus }
        }
        let framing = try inbound.withUnsafeReadableBytes { (octets) throws(HTTP1Error) in
            let framing = try parser.responseFraming(octets, isHead: request.isHead)
            if !isInterim { request.answered(Int(parser.status)) }
            ResponseHead.write(parser, octets, framing, self, request)
            return framing
        }
        inbound.moveReaderIndex(forwardBy: parser.headLength)
        parser.reset()
        if isInterim {
            request.stream.send(interim: loop.fields)
            return true
        }
        self.framing = framing
        request.stream.send(head: loop.fields, isEnd: framing.body == .none)
        switch framing.body {
        case .none: complete()
        case .length(let length):
            remaining = length
            reading = .body
        case .chunked:
            chunks = ChunkedDecoder()
            reading = .body
        case .untilClose:
            remaining = .max
            reading = .body
        }
        return true
    }

    private func refuseUpgrade() -> Bool {
        let failed = request
        request = nil
        close()
        failed?.responseFailed(BackendRefusal.unexpectedUpgrade(system))
        return false
    }

    private func readPlainBody() {
        guard let stream = request?.stream else { return }
        let count = min(remaining, inbound.readableBytes)
        request?.responseOctets += count
        if count >= 4096, let piece = inbound.readSlice(length: count) {
            stream.send(body: piece)
        } else {
            inbound.readWithUnsafeReadableBytes { octets in
                stream.send(body: UnsafeRawBufferPointer(rebasing: octets[..<count]))
                return count
            }
        }
        if remaining != .max { remaining -= count }
        if remaining == 0 {
            stream.finish(trailers: nil)
            complete()
        } else {
            isReadHeld = stream.isCongested
        }
    }

    private func readChunks() throws(HTTP1Error) {
        guard let stream = request?.stream else { return }
        var isFinished = false
        let octets = inbound
        let consumed = try octets.withUnsafeReadableBytes { (octets) throws(HTTP1Error) -> Int in
            chunks!.consumed = 0
            while true {
                switch try chunks!.next(octets) {
                case .data(let range):
                    request?.responseOctets += range.count
                    stream.send(body: UnsafeRawBufferPointer(rebasing: octets[range]))
                case .trailer(let name, let value): keepTrailer(name, value)
                case .needMore: return chunks!.consumed
                case .finished:
                    isFinished = true
                    return chunks!.consumed
                }
            }
        }
        inbound.moveReaderIndex(forwardBy: consumed)
        if isFinished {
            stream.finish(trailers: trailers)
            complete()
        } else {
            isReadHeld = stream.isCongested
        }
    }

    private func keepTrailer(_ name: Range<Int>, _ value: Range<Int>) {
        chunks!.trailerLine.withUnsafeBytes { line in
            let name = UnsafeRawBufferPointer(rebasing: line[name])
            guard KnownField.identify(name).field.isForwardedInTrailers else { return }
            let trailers = self.trailers ?? FieldBlock(capacity: 256, fields: 8)
            trailers.append(name, UnsafeRawBufferPointer(rebasing: line[value]))
            self.trailers = trailers
        }
    }

    /// The response has been read to its end.
    private func complete() {
        guard let request else { return }
        reading = .complete
        resumeReading()
        // A body that the internal host did not wait for would be taken for the next request, so the connection ends.
        let isReusable = request.isRequestComplete && framing!.isKeptAlive && inbound.readableBytes == 0 && !isClosed
        let isPrivate = request.hasConnectionAuthentication || pin != nil
        request.responseComplete()
        self.request = nil
        guard isReusable, !isRetired, !isPrivate || pin != nil else { return close() }
        deadline = loop.sweeper.deadline(in: pin == nil ? loop.configuration.poolIdle : loop.configuration.pinnedIdle)
        if pin == nil, !loop.keep(self) { close() }
    }
}

extension UpstreamConnection: DeadlineObserver {
    func sweep(_ tick: Int) {
        guard tick >= deadline else { return }
        deadline = .max
        let timedOut = request
        let phase: Refusal.Phase = reading == .head ? .responseHead : .responseBody
        let isWaiting = phase == .responseHead && (timedOut?.isRequestComplete ?? false)
        let limit = isWaiting ? loop.configuration.responseHead : loop.configuration.idle
        request = nil
        close()
        timedOut?.responseFailed(BackendRefusal.timeout(phase, limit, system))
    }
}
