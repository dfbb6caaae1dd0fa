package import Logging
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// The cloud side: takes HTTP requests from programs and sends them through the tunnels that connectors have dialled.
package final class ConnectivityService: Sendable {
    package let registry: TunnelRegistry
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let proxy: any Channel
    private let acceptor: any Channel

    /// Binds both addresses and starts to serve.
    package static func start(
        _ configuration: ServiceConfiguration,
        logger: Logger
    ) async throws -> ConnectivityService {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        do {
            return try await ConnectivityService(configuration, group, logger)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ configuration: ServiceConfiguration,
        _ group: MultiThreadedEventLoopGroup,
        _ logger: Logger
    ) async throws {
        let registry = TunnelRegistry()
        self.registry = registry
        self.group = group
        self.logger = logger
        let tls = try TLSContext(configuration.tunnelTLS)
        let loops = try await PerLoop.make(Array(group.makeIterator())) { eventLoop in
            let loop = ProxyLoop(configuration, registry, logger)
            loop.sweeper.start(on: eventLoop)
            return loop
        }
        acceptor = try await Self.bindTunnels(configuration, group, tls, registry, logger)
        do {
            proxy = try await Self.bindProxy(configuration, group, loops)
        } catch {
            try await acceptor.close()
            throw error
        }
    }

    private static func bindProxy(
        _ configuration: ServiceConfiguration,
        _ group: MultiThreadedEventLoopGroup,
        _ loops: PerLoop<ProxyLoop>
    ) async throws -> any Channel {
        try await bootstrap(group, configuration.maxConnections)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ProxyConnection(loop: loops[channel.eventLoop], allocator: channel.allocator)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .bind(host: configuration.proxyAddress.host, port: configuration.proxyAddress.port).get()
    }

    private static func bindTunnels(
        _ configuration: ServiceConfiguration,
        _ group: MultiThreadedEventLoopGroup,
        _ tls: TLSContext,
        _ registry: TunnelRegistry,
        _ logger: Logger
    ) async throws -> any Channel {
        try await bootstrap(group, configuration.maxConnections)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10))
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: 64 << 10, high: 256 << 10)
            )
            .childChannelOption(.tcpOption(.notSentLowWatermark), value: 256 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let remote = channel.remoteAddress?.text ?? "unknown"
                    let tunnel = TunnelHandler(
                        .client,
                        configuration: configuration.tunnel,
                        pingInterval: configuration.pingInterval,
                        eventLoop: channel.eventLoop,
                        delegate: AcceptedTunnel(registry: registry, logger: logger, remote: remote)
                    )
                    try channel.pipeline.syncOperations.addHandlers(
                        TLSHandler(tls, serverName: nil, peer: "the connector at \(remote)"),
                        tunnel
                    )
                }
            }
            .bind(host: configuration.tunnelAddress.host, port: configuration.tunnelAddress.port).get()
    }

    private static func bootstrap(_ group: MultiThreadedEventLoopGroup, _ maxConnections: Int) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            // One at a time, so that the limit is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimiter(limit: maxConnections))
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 64 << 10))
    }

    /// Where the proxy entry listens.
    package var proxyPort: Int { proxy.localAddress?.port ?? 0 }
    /// Where connectors dial.
    package var tunnelPort: Int { acceptor.localAddress?.port ?? 0 }

    /// Stops listening, says goodbye to the connectors and closes all connections.
    package func shutdown() async throws {
        try? await proxy.close()
        try? await acceptor.close()
        for tunnel in registry.all() {
            try? await tunnel.eventLoop.submit { tunnel.handler.value.drain() }.get()
        }
        try await group.shutdownGracefully()
    }
}
