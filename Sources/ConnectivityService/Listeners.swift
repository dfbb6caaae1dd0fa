internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import TextFormats
internal import TunnelCore

/// How full each listener is.
struct ListenerLoads: Sendable {
    let proxy = ListenerLoad()
    let socks = ListenerLoad()
    let tunnels = ListenerLoad()

    var all: [(name: String, load: ListenerLoad)] { [("proxy", proxy), ("socks", socks), ("tunnel", tunnels)] }
    var connections: Int { all.reduce(0) { $0 + $1.load.connections } }
    func takePeak() -> Int { all.reduce(0) { $0 + $1.load.takePeak() } }
}

/// Opens the addresses that the service listens on.
struct Listeners {
    let group: MultiThreadedEventLoopGroup
    let loops: PerLoop<ProxyLoop>
    let hub: TunnelHub
    let load: ListenerLoads

    func bindProxy(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let loops = self.loops
        return try await bootstrap(configuration.maxConnections, "proxy", load.proxy)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ProxyConnection(loop: loops[channel.eventLoop], allocator: channel.allocator)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .bind(to: configuration.proxyAddress, as: "proxy.listen")
    }

    func bindSocks(_ configuration: ServiceConfiguration) async throws -> (any Channel)? {
        guard let address = configuration.socksAddress else { return nil }
        let loops = self.loops
        return try await bootstrap(configuration.maxConnections, "socks", load.socks)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SocksConnection(loops[channel.eventLoop]))
                }
            }
            .bind(to: address, as: "socks.listen")
    }

    func bindTunnels(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let hub = self.hub
        return try await bootstrap(configuration.maxConnections, "tunnel", load.tunnels)
            // Enough for a handshake; grown for those who have shown a certificate.
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelOption(.tcpOption(.notSentLowWatermark), value: 256 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.addHandlers(channel, hub) }
            }
            .bind(to: configuration.tunnelAddress, as: "tunnel.listen")
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

    private func bootstrap(_ maxConnections: Int, _ name: String, _ load: ListenerLoad) -> ServerBootstrap {
        let (logger, memory) = (hub.logger, hub.memory)
        let tell: @Sendable (ListenerEvent) -> Void = { event in
            switch event {
            case .addressAtShare(let address, let count, let limit):
                logger.warning(
                    "connections refused: their address has its share",
                    metadata: ["listener": "\(name)", "client": "\(address)", "places": "\(count) of \(limit)"]
                )
            case .full(let limit):
                let isCut = limit < maxConnections
                logger.warning(
                    "listener is full: clients wait",
                    metadata: [
                        "listener": "\(name)", "places": "\(limit) of \(limit)",
                        "cause": isCut
                            ? "the process may open no more files; raise LimitNOFILE or ulimit -n"
                            : "proxy.max-connections is \(maxConnections)",
                    ]
                )
            case .outOfDescriptors(let cause):
                logger.error(
                    "no file descriptors are left: clients wait",
                    metadata: ["listener": "\(name)", "cause": "\(cause)"]
                )
            }
        }
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            // One at a time, so that the limit is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionLimiter(
                            limit: DescriptorLimit.cap(maxConnections),
                            load: load,
                            mayAccept: { !memory.isShort },
                            tell: tell
                        )
                    )
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 64 << 10))
    }
}
