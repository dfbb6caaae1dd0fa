internal import Cryptography
internal import EpollTransport
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import TextFormats
internal import TunnelCore

/// How full each listener is.
struct ListenerLoads: Sendable {
    let proxy = ListenerLoad()
    let socks = ListenerLoad()
    let tunnels = ListenerLoad()
    let peers = ListenerLoad()

    var all: [(name: String, load: ListenerLoad)] {
        [("proxy", proxy), ("socks", socks), ("tunnel", tunnels), ("peers", peers)]
    }
    var connections: Int { all.reduce(0) { $0 + $1.load.connections } }
}

/// Opens the addresses that the service listens on.
struct Listeners {
    let group: EpollEventLoopGroup
    let loops: PerLoop<ProxyLoop>
    let hub: TunnelHub
    let load: ListenerLoads
    let proxyCertificate: ListenerCertificate
    let socksCertificate: ListenerCertificate
    let peers: PeerNetwork

    func bindProxy(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let (loops, certificate) = (self.loops, proxyCertificate)
        return try await bind(
            configuration.proxyAddress,
            "proxy",
            configuration.maxConnections,
            load.proxy,
            Self.client
        ) { channel in
            let loop = loops[channel.eventLoop]
            let peers = loop.configuration.proxyPeers
            try peers.introduce(channel, refused: { loop.refused(channel, $0) }) { client in
                try Self.secure(channel, certificate, client)
                try channel.pipeline.syncOperations.addHandler(ProxyConnection(loop: loop, client: client))
            }
        }
    }

    func bindSocks(_ configuration: ServiceConfiguration) async throws -> (any Channel)? {
        guard let address = configuration.socksAddress else { return nil }
        let (loops, certificate) = (self.loops, socksCertificate)
        return try await bind(address, "socks", configuration.maxConnections, load.socks, Self.client) { channel in
            let loop = loops[channel.eventLoop]
            let peers = loop.configuration.socksPeers
            try peers.introduce(channel, refused: { loop.refused(channel, $0) }) { client in
                try Self.secure(channel, certificate, client)
                try channel.pipeline.syncOperations.addHandler(SocksConnection(loop, client: client))
            }
        }
    }

    func bindTunnels(_ configuration: ServiceConfiguration) async throws -> any Channel {
        let hub = self.hub
        return try await bind(
            configuration.tunnelAddress,
            "tunnel",
            configuration.maxConnections,
            load.tunnels,
            Self.tunnel
        ) { channel in
            let remote = channel.remoteAddress?.text ?? "unknown"
            let peers = hub.settings.configuration.tunnelPeers
            let refused = { (cause: String) in
                hub.refused("tunnel refused", remote, TLSError(.closedDuringHandshake, "\(remote) \(cause)"))
            }
            try peers.introduce(channel, refused: refused) { client in
                try Self.addHandlers(channel, hub, client?.text ?? remote)
            }
        }
    }

    /// For the other services of the store.
    func bindPeers(_ configuration: ServiceConfiguration) async throws -> (any Channel)? {
        guard let own = configuration.peers else { return nil }
        let (loops, hub, peers) = (self.loops, self.hub, self.peers)
        return try await bind(own.address, "peers", Self.peerConnections, load.peers, Self.tunnel) { channel in
            let remote = channel.remoteAddress?.text ?? "unknown"
            guard let settings = peers.settings else { return channel.close(promise: nil) }
            let eventLoop = channel.eventLoop
            try channel.pipeline.syncOperations.addHandlers(
                TLSHandler(settings.server, serverName: nil, peer: "the service at \(remote)", keepsBuffers: true),
                TunnelHandler(
                    .server,
                    configuration: settings.http2,
                    pingInterval: settings.pingInterval,
                    eventLoop: eventLoop,
                    delegate: PeerEntry(hub, loops[eventLoop], name: settings.name, remote: remote)
                )
            )
        }
    }

    /// One for each event loop of each other service, and some that are on their way out.
    private static let peerConnections = 1000

    private static func secure(
        _ channel: any Channel,
        _ certificate: ListenerCertificate,
        _ client: SocketAddress?
    ) throws {
        guard let context = certificate.current else { return }
        let peer = "the program at \((client ?? channel.remoteAddress)?.text ?? "unknown")"
        try channel.pipeline.syncOperations.addHandler(TLSHandler(context, serverName: nil, peer: peer))
    }

    private static let client = SocketSettings(highWatermark: 64 << 10, allowsHalfClosure: true)
    /// What is read at once is enough for a handshake; grown for those who have shown a certificate.
    private static let tunnel = SocketSettings(
        readSize: 4096,
        lowWatermark: 64 << 10,
        highWatermark: 256 << 10,
        unsentInKernel: 256 << 10
    )

    private static func addHandlers(_ channel: any Channel, _ hub: TunnelHub, _ remote: String) throws {
        let settings = hub.settings
        let eventLoop = channel.eventLoop
        try channel.pipeline.syncOperations.addHandlers(
            TLSHandler(settings.tls, serverName: nil, peer: "the connector at \(remote)", keepsBuffers: true),
            TunnelEntryHandler(hub: hub, remote: remote) { dialect in
                TunnelHandler(
                    .client,
                    configuration: settings.configuration.tunnel,
                    dialect: dialect,
                    pingInterval: settings.configuration.pingInterval,
                    eventLoop: eventLoop,
                    delegate: AcceptedTunnel(hub: hub, remote: remote)
                )
            }
        )
    }

    /// - Parameter name: the part of the configuration that has the address as `listen`.
    private func bind(
        _ address: HostPort,
        _ name: String,
        _ maxConnections: Int,
        _ load: ListenerLoad,
        _ settings: SocketSettings,
        _ initializer: @escaping @Sendable (SocketChannel) throws -> Void
    ) async throws(ListenError) -> any Channel {
        do {
            return try await ListenerChannel.bind(
                to: SocketAddress.makeAddressResolvingHost(address.host, port: address.port),
                group: group,
                settings: settings,
                guards: { [self] in [limiter(maxConnections, name, load)] },
                initializer: initializer
            )
        } catch {
            var failure = ListenError(address.description, error)
            failure.setting = "\(name).listen"
            throw failure
        }
    }

    private func limiter(_ maxConnections: Int, _ name: String, _ load: ListenerLoad) -> ConnectionLimiter {
        let (logger, memory) = (hub.logger, hub.memory)
        return ConnectionLimiter(
            limit: DescriptorLimit.cap(maxConnections),
            load: load,
            mayAccept: { !memory.isShort }
        ) { event in
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
    }
}
