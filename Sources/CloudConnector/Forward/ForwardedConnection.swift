internal import AccessPolicy
internal import AvailabilityCheck
internal import Cryptography
internal import EpollTransport
internal import Logging
internal import NIOCore
internal import Networking
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// One connection to a TCP system: decided on, opened, and joined with its stream of the tunnel.
///
///     head ──policy──▶ refused
///       └──permit──▶ connecting ──▶ joined ──▶ done
final class ForwardedConnection: StreamReceiver, LongConnection {
    private let loop: ConnectorLoop
    private let stream: HTTP2Stream
    private let tunnel: any RequestTunnel
    private var isConnecting = false
    /// Until it is joined.
    private var channel: (any Channel)?
    private let started = NIODeadline.now()
    private var permit: ConnectionPermit?
    private var metrics: SystemMetrics
    private var pipe: StreamPipe?
    private var isDone = false
    /// As the service knows it.
    private var requestID: RequestID?
    /// What the client sends before the connection is there; bounded by the stream's window.
    private var early: [UInt8] = []
    private var isEarlyEnd = false
    private var authority: (host: [UInt8], port: UInt16) = ([], 0)

    init(loop: ConnectorLoop, stream: HTTP2Stream, tunnel: any RequestTunnel) {
        self.loop = loop
        self.stream = stream
        self.tunnel = tunnel
        metrics = loop.unknown
        stream.isTunnel = true
    }

    var system: SystemMapping? { permit?.system }

    /// Whether the policy in force would open the same connection again.
    var isStillExposed: Bool {
        let host = authority.host
        let now = loop.policy.permitConnection(host: host.span, port: authority.port)
        guard let permit, let now else { return false }
        return now.internalPort == permit.internalPort && now.system.internalHost == permit.system.internalHost
            && now.system.protocol == permit.system.protocol
    }

    /// Virtual host and port, as the configuration has them.
    private var virtualAddress: String { "\(permit?.system.virtualHost ?? ""):\(authority.port)" }

    // MARK: Opening

    func begin(_ request: RequestSummary) {
        unsafe requestID = RequestID(request.tag)
        do throws(Refusal) {
            let permit = try unsafe decide(request.authority)
            self.permit = permit
            metrics = loop.entry(permit.system).metrics
            guard loop.hasRoom() else {
                throw BackendRefusal.tooManyConnections(permit.system, loop.configuration.maxConnections)
            }
            loop.connections[ObjectIdentifier(self)] = self
            connect(permit)
        } catch {
            unsafe refuse(error, LogText.escaped(request.authority))
        }
    }

    /// Asks the policy. Nothing is connected without the permit that comes out here.
    private func decide(_ authority: UnsafeRawBufferPointer) throws(Refusal) -> ConnectionPermit {
        guard !loop.audit.isBlocking else { throw PolicyRefusal.auditFailed }
        let text = unsafe authority.assumingMemoryBound(to: UInt8.self).span
        let parsed: RequestAuthority
        do throws(RequestTargetError) {
            parsed = try RequestAuthority(text, in: 0..<text.count)
        } catch {
            throw Refusal(badRequest: error.rawValue)
        }
        guard let permit = loop.policy.permitConnection(host: text.extracting(parsed.host), port: parsed.port) else {
            throw unsafe PolicyRefusal.system(authority, parsed, loop.policy)
        }
        self.authority = unsafe (Array(authority[parsed.host]), parsed.port)
        return permit
    }

    private func connect(_ permit: ConnectionPermit) {
        let eventLoop = loop.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let limit = loop.configuration.connect
        let system = permit.system
        let metrics = NIOLoopBound(loop.connectionOpens(to: system), eventLoop: eventLoop)
        isConnecting = true
        HostConnection.open(
            host: system.internalHost,
            port: Int(permit.internalPort),
            on: eventLoop,
            settings: SocketSettings(allowsHalfClosure: true, autoRead: false),
            timeout: limit
        )
        .whenComplete { result in
            let connection = bound.value
            connection.isConnecting = false
            if connection.isDone { connection.tunnel.givePlaceBack() }
            switch result {
            case .success(let channel):
                channel.closeFuture.whenComplete { _ in bound.value.loop.connectionEnded(metrics.value) }
                connection.connected(channel, permit, limit)
            case .failure(let error):
                connection.loop.connectionEnded(metrics.value)
                connection.refuse(BackendRefusal.connect(error, system))
            }
        }
    }

    private func connected(_ channel: any Channel, _ permit: ConnectionPermit, _ limit: TimeAmount) {
        guard !isDone else { return channel.close(promise: nil) }
        self.channel = channel
        do {
            guard permit.system.protocol.isTLS else { return try join(channel) }
            let bound = NIOLoopBound((self, channel), eventLoop: loop.eventLoop)
            let peer = "the internal host"
            let wait = HandshakeWaiter { error in
                let (connection, channel) = bound.value
                guard let error else {
                    do { return try connection.join(channel) } catch {
                        return connection.refuse(BackendRefusal.connect(error, permit.system))
                    }
                }
                connection.refuse(BackendRefusal.connect(error, permit.system))
            }
            let tls = TLSHandler(
                loop.backendTLS.context(permit.system),
                serverName: permit.system.internalHost,
                peer: peer,
                handshakeTimeout: limit
            )
            try channel.pipeline.syncOperations.addHandlers(tls, wait)
            channel.setOption(.autoRead, value: true).whenComplete { _ in }
            channel.read()
        } catch {
            channel.close(promise: nil)
            refuse(BackendRefusal.connect(error, permit.system))
        }
    }

    /// From now on bytes flow.
    private func join(_ channel: any Channel) throws {
        guard !isDone, permit != nil else { return channel.close(promise: nil) }
        let pipe = StreamPipe(stream, sweeper: loop.sweeper, idle: loop.configuration.tcpIdle)
        self.pipe = pipe
        pipe.onEnd = { [self] end in ended(end) }
        try channel.pipeline.syncOperations.addHandler(pipe)
        if loop.audit.isOn {
            loop.audit.record(.accessAllowed, "Allowing a connection to system \(virtualAddress)")
        }
        let fields = loop.fields
        fields.removeAll()
        fields.append(status: 200)
        stream.receiver = pipe
        stream.send(head: fields, isEnd: false)
        if !early.isEmpty {
            unsafe early.withUnsafeBytes { unsafe pipe.streamReceived(body: $0) }
            pipe.streamBatchEnded()
            early = []
        }
        if isEarlyEnd { pipe.streamReceivedEnd(trailers: nil) }
        channel.setOption(.autoRead, value: true).whenComplete { _ in }
        channel.read()
    }

    // MARK: Before the connection is there

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {}
    func streamReceived(interim fields: FieldBlock) {}
    func streamReceived(body: UnsafeRawBufferPointer) { unsafe early += Array(body) }
    func streamReceivedEnd(trailers: FieldBlock?) { isEarlyEnd = true }
    func streamFailed(_ failure: StreamError) { finish() }
    func streamBecameWritable() {}
    func streamBatchEnded() {}

    // MARK: End

    /// For a system that is exposed no more.
    func cut() {
        if let pipe { return pipe.cut() }
        stream.cancel(.cancel)
        finish()
    }

    private func ended(_ end: StreamPipe.End) {
        guard !isDone, permit != nil else { return }
        metrics.counts.requestBytes += pipe?.bytesOut ?? 0
        metrics.counts.responseBytes += pipe?.bytesIn ?? 0
        metrics.counts.answered(end == .closed ? 200 : 0)
        if loop.accessLog || LogLevelSwitch.level <= .debug {
            loop.logger.log(
                level: loop.accessLog ? .info : .debug,
                "connection",
                metadata: [
                    "virtual_host": "\(virtualAddress)", "end": "\(end)",
                    "request_bytes": "\(pipe?.bytesOut ?? 0)", "response_bytes": "\(pipe?.bytesIn ?? 0)",
                    "seconds": "\((NIODeadline.now() - started).nanoseconds / 1_000_000_000)",
                ]
            )
        }
        finish()
    }

    private func finish() {
        if !isDone, isConnecting { tunnel.keepPlace() }
        isDone = true
        if pipe == nil { channel?.close(promise: nil) }
        channel = nil
        early = []
        loop.connections[ObjectIdentifier(self)] = nil
    }

    private func refuse(_ refusal: Refusal, _ authority: String? = nil) {
        guard !isDone else { return }
        finish()
        let requestID = "\(requestID ?? loop.requestIDs.next())"
        let virtualHost = permit == nil ? authority ?? "" : virtualAddress
        loop.logger.warning(
            refusal.source == .policy ? "request refused" : "request failed",
            metadata: refusal.metadata.merging(
                [
                    "request_id": requestID, "method": "CONNECT", "virtual_host": virtualHost,
                    "internal_host": permit.map {
                        HostPort(host: $0.system.internalHost, port: Int($0.internalPort)).description
                    } ?? "",
                ],
                uniquingKeysWith: { $1 }
            ).filter { $0.value != "" }.mapValues { "\($0)" }
        )
        if loop.audit.isOn, refusal.source == .policy || refusal.source == .client {
            loop.audit.record(
                .accessDenied,
                "Denying a connection to system \(virtualHost): \(refusal.cause) [CONNECT, requestId=\(requestID)]"
            )
        }
        let key = RefusalKey(refusal.source, refusal.phase, refusal.proxyStatus)
        metrics.counts.refusals[key, default: 0] += 1
        metrics.counts.answered(Int(refusal.status))
        let fields = loop.fields
        fields.removeAll()
        fields.append(status: refusal.status)
        fields.append("proxy-status", refusal.proxyStatusField(by: "cloud-connector"))
        fields.append("x-request-id", requestID)
        // Nothing more is to come from either side.
        stream.isTunnel = false
        stream.send(head: fields, isEnd: true)
    }
}

/// Waits for the end of a TLS handshake, then steps aside.
private final class HandshakeWaiter: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    private var done: (((any Error)?) -> Void)?

    init(_ done: @escaping ((any Error)?) -> Void) { self.done = done }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is TLSEstablished else { return context.fireUserInboundEventTriggered(event) }
        finish(nil)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { finish(ChannelError.eof) }

    private func finish(_ error: (any Error)?) {
        done?(error)
        done = nil
    }
}
