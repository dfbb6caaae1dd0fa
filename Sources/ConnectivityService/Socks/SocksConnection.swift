internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import Telemetry
internal import TextFormats
internal import Tokens
internal import TunnelCore

/// One client connection of the SOCKS5 entry: the handshake, a CONNECT stream through a tunnel, then bytes both ways.
final class SocksConnection: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler, StreamReceiver,
    DeadlineObserver
{
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    var sweepIndex = -1
    private let loop: ProxyLoop
    private let client: SocketAddress?
    private var context: ChannelHandlerContext?
    private var handshake = SocksHandshake()
    private var deadline: Int
    private var stream: (any TunnelStream)?
    private var subaccount = ""
    private var locationID = ""
    private var target = ""
    private var isDone = false
    private var refusedBy: [Int] = []
    private var place: AnyObject?
    private var isReadWanted = false
    /// Empty before the program has said where it wants to go.
    private var requestID = ""
    private var received = 0

    /// Bytes that a client may send before it is answered: a token with what is around it, and what a read holds beside.
    static let earlyLimit = 128 << 10

    /// - Parameter client: if it is known better than by the connection's other end.
    init(_ loop: ProxyLoop, client: SocketAddress? = nil) {
        self.loop = loop
        self.client = client
        deadline = loop.sweeper.tick + loop.ticks.requestHead
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.sweeper.add(self)
        loop.connectionCount += 1
        let bound = NIOLoopBound(loop, eventLoop: context.eventLoop)
        context.channel.closeFuture.whenComplete { _ in bound.value.connectionCount -= 1 }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.sweeper.remove(self)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return }
        let buffer = unwrapInboundIn(data)
        received += buffer.readableBytes
        guard received <= Self.earlyLimit else {
            return refuse([], "more than \(Self.earlyLimit) bytes before the connection was there")
        }
        handshake.receive(buffer.readableBytesView)
        proceed()
    }

    /// What the program sends before there is a connection waits with its sender.
    func read(context: ChannelHandlerContext) {
        if handshake.isDone, !isDone { isReadWanted = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        isDone = true
        stream?.cancel(.cancel)
        stream = nil
    }

    func sweep(_ tick: Int) {
        guard tick >= deadline else { return }
        // What would be sent depends on what the client waits for; a closed connection is understood in each phase.
        refuse(target.isEmpty ? [] : SocksHandshake.reply(.failure), "the handshake took too long")
    }

    // MARK: Handshake

    private func proceed() {
        while !isDone, let event = handshake.next() {
            switch event {
            case .send(let bytes): send(bytes)
            case .authenticate(let token, let locationID): authenticate(token, locationID)
            case .connect(let request): connect(request)
            case .refuse(let bytes, let cause): refuse(bytes, cause)
            }
        }
    }

    private func authenticate(_ token: [UInt8], _ locationID: String) {
        guard let verifier = loop.configuration.tokens ?? loop.configuration.socksTokens else {
            return refuse(handshake.admit(false), "this service verifies no tokens")
        }
        do throws(TokenError) {
            let verified = try verifier.verify(token, now: WallClock.seconds())
            (subaccount, self.locationID) = (verified.subaccount, locationID)
            send(handshake.admit(true))
        } catch {
            refuse(handshake.admit(false), "the token does not count: \(error.rawValue)")
        }
    }

    private func connect(_ request: SocksHandshake.Request) {
        guard let context else { return }
        target = String(decoding: request.host, as: UTF8.self) + ":\(request.port)"
        let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
        let elsewhere = loop.registry.directory.services(with: identity)
        guard let group = loop.registry.group(identity), group.count > 0 || !elsewhere.isEmpty else {
            return refuse(SocksHandshake.reply(.networkUnreachable), "no connector is connected", .tunnel)
        }
        let fields = loop.fields
        fields.removeAll()
        fields.append(":method", "CONNECT")
        fields.append(":authority", target)
        let requestID = loop.requestIDs.next()
        fields.append(requestID)
        self.requestID = "\(requestID)"
        deadline = loop.sweeper.tick + loop.ticks.exchange
        var refused: [Int] = []
        while let tunnel = group.pick(on: context.eventLoop, excluding: refused) {
            place = Replica.Place(tunnel.replica)
            guard tunnel.eventLoop === context.eventLoop else {
                stream = StreamRelay.open(
                    tunnel,
                    fields,
                    isEnd: false,
                    isTunnel: true,
                    receiver: self,
                    clientLoop: context.eventLoop,
                    another: { [weak self] in self?.anotherTunnel(of: group, refused: tunnel.id) }
                )
                return
            }
            let handler = tunnel.handler.value
            if handler.isUsable, handler.hasRoomForConnection,
                let opened = try? handler.session.openStream(fields, isEnd: false, receiver: self)
            {
                opened.isTunnel = true
                stream = opened
                return
            }
            refused.append(tunnel.id)
        }
        if !elsewhere.isEmpty, let link = loop.peers.tunnel(to: elsewhere, excluding: []),
            link.handler.value.hasRoomForConnection, let share = loop.peers.place(on: link, for: group),
            let opened = try? link.handler.value.session.openStream(
                PeerHead.hand(fields, to: identity),
                isEnd: false,
                receiver: self
            )
        {
            place = share
            opened.isTunnel = true
            stream = opened
            loop.peers.sentCount += 1
            return
        }
        refuse(SocksHandshake.reply(.failure), "all tunnels of the connector are busy or draining", .tunnel)
    }

    /// For a connection that the chosen tunnel did not take; each is asked once.
    private func anotherTunnel(of group: TunnelGroup, refused id: Int) -> RegisteredTunnel? {
        refusedBy.append(id)
        // The relay asks again and again, and names the first one each time.
        let next = group.all().first { !refusedBy.contains($0.id) && !$0.replica.isLeftOut }
        place = (next?.replica).flatMap(Replica.Place.init)
        if let next { refusedBy.append(next.id) }
        return next
    }

    // MARK: Stream

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        guard !isDone, let context, let stream else { return }
        guard unsafe fields.value(0).elementsEqual("200".utf8), !isEnd else { return refused(fields) }
        isDone = true
        send(SocksHandshake.reply(.success))
        let pipe = StreamPipe(stream, sweeper: loop.sweeper, idle: .hours(12))
        let counts = NIOLoopBound((loop, self), eventLoop: context.eventLoop)
        pipe.onEnd = { [weak pipe] _ in
            let (loop, connection) = counts.value
            connection.count(loop, pipe)
        }
        do {
            try context.pipeline.syncOperations.addHandler(pipe, position: .after(self))
        } catch {
            return context.close(promise: nil)
        }
        stream.deliver(to: pipe)
        self.stream = nil
        if !handshake.rest.isEmpty { unsafe handshake.rest.withUnsafeBytes { unsafe stream.send(body: $0) } }
        let channel = context.channel
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        if isReadWanted { channel.read() }
    }

    private func count(_ loop: ProxyLoop, _ pipe: StreamPipe?) {
        let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
        let metrics = loop.metrics(of: loop.registry.group(identity))
        metrics.counts.answered(200)
        metrics.counts.requestBytes += pipe?.bytesIn ?? 0
        metrics.counts.responseBytes += pipe?.bytesOut ?? 0
    }

    /// The connector said no.
    private func refused(_ fields: FieldBlock) {
        var reply = SocksHandshake.Reply.failure
        var cause = "the connector refused"
        var source = Refusal.Source.backend
        for index in 1..<max(1, fields.count) where fields.known(index) == .proxy {
            guard let report = unsafe RefusalReport(proxyStatus: String(decoding: fields.value(index), as: UTF8.self))
            else {
                continue
            }
            cause = report.cause
            source = report.source
            switch (report.source, report.phase) {
            case (.policy, _): reply = .notAllowed
            case (.backend, .connect), (.backend, .tls): reply = .hostUnreachable
            default: break
            }
            unsafe remember(report, fields.value(0).reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) })
        }
        stream = nil
        refuse(SocksHandshake.reply(reply), cause, source, level: .debug)
    }

    func streamReceived(interim fields: FieldBlock) {}
    func streamReceived(body: UnsafeRawBufferPointer) {}
    func streamReceivedEnd(trailers: FieldBlock?) {}
    func streamBecameWritable() {}
    func streamBatchEnded() {}

    func streamFailed(_ failure: StreamError) {
        stream = nil
        let cause =
            failure == .refused
            ? "all tunnels of the connector are busy or draining" : "the tunnel closed before the connection was there"
        refuse(SocksHandshake.reply(.failure), cause, .tunnel)
    }

    // MARK: Answers

    private func send(_ bytes: [UInt8]) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    private func remember(_ report: RefusalReport, _ status: Int) {
        loop.refusals.record(
            RecentRefusals.Entry(
                time: WallClock.seconds(),
                subaccount: subaccount,
                locationID: LogText.escaped(locationID.utf8),
                method: "CONNECT",
                target: LogText.escaped(target.utf8),
                status: status,
                source: report.source,
                phase: report.phase,
                cause: report.cause.bounded(300),
                side: report.side
            )
        )
    }

    /// - Parameter level: lower where the connector has its own line.
    private func refuse(
        _ bytes: [UInt8],
        _ cause: String,
        _ source: Refusal.Source = .client,
        level: Logger.Level = .warning
    ) {
        guard !isDone, let context else { return }
        isDone = true
        stream?.cancel(.cancel)
        stream = nil
        let remote = (client ?? context.remoteAddress)?.text ?? "a client"
        loop.logger.log(
            level: level,
            "connection refused",
            metadata: [
                "request_id": "\(requestID)", "client": "\(remote)", "source": "\(source.rawValue)",
                "cause": "\(cause)",
                "target": "\(LogText.escaped(target.utf8))",
            ].filter { $0.value != "" }
        )
        if source == .client, loop.audit.isOn {
            loop.audit.record(.accessDenied, "Denying a SOCKS5 connection from \(remote): \(cause)")
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)))
            .whenComplete { _ in bound.value.close(promise: nil) }
    }
}
