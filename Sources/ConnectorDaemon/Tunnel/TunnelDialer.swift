internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// Where and how a connector dials.
struct DialerConfiguration: Sendable {
    var host: String
    var port: Int
    var connections: Int
    var tls: TLSConfiguration
    var http2: HTTP2Configuration
    var pingInterval: TimeAmount
    var connectTimeout: TimeAmount = .seconds(10)
    var backoff = Backoff()
}

/// Keeps one tunnel up: dials, serves it until it ends, waits and dials again, for ever.
struct TunnelDialer: Sendable {
    let index: Int
    let configuration: DialerConfiguration
    let context: TLSContext
    let eventLoop: any EventLoop
    let loops: PerLoop<ConnectorLoop>
    let state: ConnectorState
    let logger: Logger

    /// Runs until its task is cancelled.
    func run() async {
        var backoff = configuration.backoff
        while !Task.isCancelled {
            do {
                let tunnel = try await dial()
                let start = ContinuousClock.now
                await tunnel.waitUntilClosed()
                // A service that drops each tunnel at once is no more available than one that refuses it.
                if .now - start > .seconds(10) { backoff.reset() }
            } catch is CancellationError {
                return
            } catch {
                logger.warning(
                    "tunnel not connected",
                    metadata: [
                        "service": "\(configuration.host):\(configuration.port)", "tunnel": "\(index)",
                        "cause": "\(Self.explain(error))",
                    ]
                )
                state.tunnelFailed(index, "\(Self.explain(error))")
            }
            let delay = backoff.next(.random(in: 0...1))
            try? await Task.sleep(for: delay)
        }
    }

    private func dial() async throws -> DialedTunnel {
        let tunnel = DialedTunnel(index: index, eventLoop: eventLoop, state: state, logger: logger)
        let channel: any Channel
        do {
            channel = try await connect(tunnel)
        } catch {
            tunnel.didClose(error)
            throw error
        }
        try await withTaskCancellationHandler {
            try await tunnel.waitUntilEstablished()
        } onCancel: {
            channel.close(promise: nil)
        }
        return tunnel
    }

    private func connect(_ tunnel: DialedTunnel) async throws -> any Channel {
        try await ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.tcpOption(.notSentLowWatermark), value: 256 << 10)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10))
            .channelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let delegate = ServedTunnel(loop: loops[channel.eventLoop], tunnel: tunnel)
                    let handler = TunnelHandler(
                        .server,
                        configuration: configuration.http2,
                        pingInterval: configuration.pingInterval,
                        eventLoop: channel.eventLoop,
                        delegate: delegate
                    )
                    try channel.pipeline.syncOperations.addHandlers(
                        TLSHandler(
                            context,
                            serverName: configuration.host,
                            peer: "the connectivity service at \(configuration.host):\(configuration.port)"
                        ),
                        handler
                    )
                }
            }
            .connect(host: configuration.host, port: configuration.port).get()
    }

    static func explain(_ error: any Error) -> String { BackendRefusal.explain(error).cause }
}

/// What the dialer waits for, told by the tunnel's event loop.
final class DialedTunnel: Sendable {
    private let established: EventLoopPromise<Void>
    private let closed: EventLoopPromise<Void>
    private let index: Int
    private let state: ConnectorState
    private let logger: Logger

    init(index: Int, eventLoop: any EventLoop, state: ConnectorState, logger: Logger) {
        self.index = index
        self.state = state
        self.logger = logger
        established = eventLoop.makePromise()
        closed = eventLoop.makePromise()
    }

    func waitUntilEstablished() async throws { try await established.futureResult.get() }
    func waitUntilClosed() async { try? await closed.futureResult.get() }

    func didEstablish(_ handler: TunnelHandler, _ tls: TLSEstablished) {
        state.tunnelConnected(index, TunnelReference(handler))
        logger.info("tunnel connected", metadata: ["tunnel": "\(index)", "tls": "\(tls.version)"])
        established.succeed()
    }

    func didClose(_ error: (any Error)?) {
        let wasConnected = state.tunnelClosed(index)
        if wasConnected {
            let cause = error.map { TunnelDialer.explain($0) } ?? "closed by the service"
            logger.notice("tunnel disconnected", metadata: ["tunnel": "\(index)", "cause": "\(cause)"])
        }
        established.fail(error ?? TLSError(.closedDuringHandshake, "the connectivity service closed the connection"))
        closed.succeed()
    }
}

/// A tunnel as the connector serves it: every stream becomes a `ForwardedRequest`.
final class ServedTunnel: TunnelHandlerDelegate {
    private let loop: ConnectorLoop
    private let tunnel: DialedTunnel

    init(loop: ConnectorLoop, tunnel: DialedTunnel) {
        self.loop = loop
        self.tunnel = tunnel
    }

    func tunnelEstablished(_ handler: TunnelHandler, _ tls: TLSEstablished) throws {
        tunnel.didEstablish(handler, tls)
    }

    func tunnel(_ handler: TunnelHandler, accept stream: HTTP2Stream) -> any StreamReceiver {
        ForwardedRequest(loop: loop, stream: stream)
    }

    func tunnelDraining(_ handler: TunnelHandler) {}

    func tunnelClosed(_ handler: TunnelHandler, _ error: (any Error)?) { tunnel.didClose(error) }
}
