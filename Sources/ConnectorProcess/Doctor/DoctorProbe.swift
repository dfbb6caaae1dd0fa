internal import CloudConnector
internal import Cryptography
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TextFormats
internal import TunnelCore

/// The single steps to one address, each over a connection of its own.
struct DoctorProbe {
    private let configuration: ConnectorConfiguration
    private let address: SocketAddress
    private let eventLoop: any EventLoop

    init(_ configuration: ConnectorConfiguration, _ address: SocketAddress, _ eventLoop: any EventLoop) {
        self.configuration = configuration
        self.address = address
        self.eventLoop = eventLoop
    }

    func connect() async throws {
        let channel = try await bootstrap().connect(to: address).get()
        try await channel.close()
    }

    func openThroughProxy() async throws {
        try await reach { _, promise in promise.succeed() }
    }

    /// The service's certificate, whoever signed it.
    func presentedCertificate() async throws -> CertificateDetails {
        do {
            return try await presentedCertificate(configuration.tunnelTLS.applicationProtocols)
        } catch let error as TLSError where error.code == .applicationProtocol || error.code == .refusedByPeer {
            // A server of another kind may speak without.
            return try await presentedCertificate([])
        }
    }

    private func presentedCertificate(_ protocols: [String]) async throws -> CertificateDetails {
        var tls = configuration.tunnelTLS
        tls.trust = .anyCertificate
        tls.applicationProtocols = protocols
        let context = try TLSContext(tls)
        let found = Found()
        try await reach { channel, promise in
            try addTLS(channel, context)
            try channel.pipeline.syncOperations.addHandler(
                TLSWatcher(promise) { tls in found.certificate.withLock { $0 = tls.peerCertificate } }
            )
        }
        guard let certificate = found.certificate.withLock({ $0 }) else { throw ChannelError.eof }
        return certificate
    }

    func verifyService() async throws {
        let context = try TLSContext(configuration.tunnelTLS)
        try await reach { channel, promise in
            try addTLS(channel, context)
            try channel.pipeline.syncOperations.addHandler(TLSWatcher(promise) { _ in })
        }
    }

    /// As far as the service's first frames. Nothing is said on the control stream, so that a running connector keeps
    /// its place.
    func openTunnel() async throws {
        let context = try TLSContext(configuration.tunnelTLS)
        let within = try configuration.tlsWithin.map { try TLSContext($0) }
        try await reach { channel, promise in
            try addTLS(channel, context)
            if let within { try channel.pipeline.syncOperations.addHandler(offer(within, promise)) }
            try channel.pipeline.syncOperations.addHandler(
                TunnelHandler(
                    .server,
                    configuration: configuration.dialer.http2,
                    dialect: configuration.dialer.dialect,
                    pingInterval: .seconds(10),
                    eventLoop: channel.eventLoop,
                    delegate: TunnelWatcher(promise)
                )
            )
        }
    }

    /// An Envoy says no more than that it has taken the connection.
    private func offer(_ context: TLSContext, _ promise: EventLoopPromise<Void>) -> EnvoyHandler {
        let dialer = configuration.dialer
        return EnvoyHandler(
            dialer.envoy,
            service: dialer.service,
            pingInterval: configuration.tunnel.pingInterval,
            makeTLS: { TLSHandler(context, serverName: dialer.host, peer: "the Envoy at \(dialer.service)") },
            accepted: { promise.succeed() }
        )
    }

    private func addTLS(_ channel: any Channel, _ context: TLSContext) throws {
        let peer = "the service at \(configuration.dialer.service)"
        try channel.pipeline.syncOperations.addHandler(
            TLSHandler(
                context,
                serverName: configuration.dialer.host,
                peer: peer,
                handshakeTimeout: .seconds(5)
            )
        )
    }

    private func bootstrap() -> ClientBootstrap { ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10)) }

    /// Connects, through the proxy if there is one, and lets `then` go on until its promise is kept.
    private func reach(
        _ then: @escaping @Sendable (any Channel, EventLoopPromise<Void>) throws -> Void
    ) async throws {
        let promise = eventLoop.makePromise(of: Void.self)
        let dialer = configuration.dialer
        let connecting = bootstrap()
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let bound = NIOLoopBound(channel, eventLoop: channel.eventLoop)
                    guard let proxy = dialer.proxy else { return try then(channel, promise) }
                    let handler = ProxyConnectHandler(proxy, service: dialer.service) { try then(bound.value, promise) }
                    try channel.pipeline.syncOperations.addHandlers(handler, ErrorWatcher(promise))
                }
            }
            .connect(to: address)
        connecting.whenFailure { promise.fail($0) }
        let timer = eventLoop.scheduleTask(in: .seconds(15)) {
            promise.fail(TLSError(.closedDuringHandshake, "nothing was answered within 15 seconds"))
        }
        defer {
            timer.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        try await promise.futureResult.get()
    }

    private final class Found: Sendable {
        let certificate = Mutex<CertificateDetails?>(nil)
    }

    private final class ErrorWatcher: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let promise: EventLoopPromise<Void>

        init(_ promise: EventLoopPromise<Void>) { self.promise = promise }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.fireErrorCaught(error)
        }
        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(TLSError(.closedDuringHandshake, "the connection was closed"))
            context.fireChannelInactive()
        }
    }

    private final class TLSWatcher: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<Void>
        private let found: (TLSEstablished) -> Void

        init(_ promise: EventLoopPromise<Void>, _ found: @escaping (TLSEstablished) -> Void) {
            self.promise = promise
            self.found = found
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard let tls = event as? TLSEstablished else { return }
            found(tls)
            promise.succeed()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    }

    private final class TunnelWatcher: TunnelHandlerDelegate {
        private let promise: EventLoopPromise<Void>

        init(_ promise: EventLoopPromise<Void>) { self.promise = promise }

        func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {}

        /// The service asks who is there: it takes this connector.
        func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
            promise.succeed()
            return Ignorer()
        }

        /// An edge of another kind asks nothing.
        func tunnelReady(_ tunnel: TunnelHandler) {
            tunnel.eventLoop.scheduleTask(in: .seconds(1)) { [promise] in promise.succeed() }
        }

        func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway) {
            let reason = LogText.escaped(goAway.reason)
            promise.fail(TLSError(.refusedByPeer, "the service says: \(reason.isEmpty ? "go away" : reason)"))
        }

        func tunnelIntervalPassed(_ tunnel: TunnelHandler) {}
        func tunnelShutdownSeen(_ tunnel: TunnelHandler) {}
        func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount) {}
        func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {
            promise.fail(error ?? TLSError(.closedDuringHandshake, "the service closed the connection after TLS"))
        }
    }

    private final class Ignorer: StreamReceiver {
        func streamReceived(head fields: FieldBlock, isEnd: Bool) {}
        func streamReceived(interim fields: FieldBlock) {}
        func streamReceived(body: UnsafeRawBufferPointer) {}
        func streamReceivedEnd(trailers: FieldBlock?) {}
        func streamFailed(_ failure: StreamError) {}
        func streamBecameWritable() {}
        func streamBatchEnded() {}
    }
}
