internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// Opens the addresses that the service listens on.
struct Listeners {
    let group: MultiThreadedEventLoopGroup
    let loops: PerLoop<ProxyLoop>
    let hub: TunnelHub

    func bindProxy(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let loops = self.loops
        return try await bootstrap(configuration.maxConnections)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ProxyConnection(loop: loops[channel.eventLoop], allocator: channel.allocator)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .bind(host: configuration.proxyAddress.host, port: configuration.proxyAddress.port).get()
    }

    func bindSocks(_ configuration: ServiceConfiguration) async throws -> (any Channel)? {
        guard let address = configuration.socksAddress else { return nil }
        let loops = self.loops
        return try await bootstrap(configuration.maxConnections)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SocksConnection(loops[channel.eventLoop]))
                }
            }
            .bind(host: address.host, port: address.port).get()
    }

    func bindTunnels(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let hub = self.hub
        return try await bootstrap(configuration.maxConnections)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10))
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelOption(.tcpOption(.notSentLowWatermark), value: 256 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.addHandlers(channel, hub) }
            }
            .bind(host: configuration.tunnelAddress.host, port: configuration.tunnelAddress.port).get()
    }

    private static func addHandlers(_ channel: any Channel, _ hub: TunnelHub) throws {
        let remote = channel.remoteAddress?.text ?? "unknown"
        let settings = hub.settings
        let eventLoop = channel.eventLoop
        try channel.pipeline.syncOperations.addHandlers(
            TLSHandler(settings.tls, serverName: nil, peer: "the connector at \(remote)"),
            TunnelEntryHandler(hub: hub, remote: remote) {
                TunnelHandler(
                    .client,
                    configuration: settings.configuration.tunnel,
                    pingInterval: settings.configuration.pingInterval,
                    eventLoop: eventLoop,
                    delegate: AcceptedTunnel(hub: hub, remote: remote)
                )
            }
        )
    }

    private func bootstrap(_ maxConnections: Int) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            // One at a time, so that the limit is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionLimiter(limit: DescriptorLimit.cap(maxConnections))
                    )
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 64 << 10))
    }
}
