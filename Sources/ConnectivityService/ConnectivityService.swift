package import AdminProtocol
internal import Cryptography
internal import EpollTransport
internal import HostSystem
package import Logging
package import NIOCore
internal import NIOPosix
internal import Networking
internal import Synchronization
package import Telemetry
internal import TunnelCore

/// The cloud side: takes HTTP requests from programs and sends them through the tunnels that connectors have dialled.
package final class ConnectivityService: Sendable {
    package let registry: TunnelRegistry
    private let group: EpollEventLoopGroup
    private let logger: Logger
    /// What the proxy entry and the connectors behind it said no to.
    package let refusals = RecentRefusals()
    let meters = RequestMeters()
    private let hub: TunnelHub
    private let loops: PerLoop<ProxyLoop>
    private let listeners: Listeners
    private let memory: MemoryGuard
    private let load: ListenerLoads
    /// The other services of the store.
    package let peers: PeerNetwork
    private let state: Mutex<State>

    private struct State {
        var proxy: any Channel
        var acceptor: any Channel
        var socks: (any Channel)?
        var peers: (any Channel)?
        var isDraining = false
    }

    /// Binds both addresses and starts to serve.
    package static func start(
        _ configuration: ServiceConfiguration,
        authority: any CertificateAuthority = NoAuthority(),
        audit: AuditLog = .off,
        logger: Logger
    ) async throws -> ConnectivityService {
        let group = try EpollEventLoopGroup(configuration.eventLoops, name: "service")
        do {
            return try await ConnectivityService(configuration, authority, audit, group, logger)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ configuration: ServiceConfiguration,
        _ authority: any CertificateAuthority,
        _ audit: AuditLog,
        _ group: EpollEventLoopGroup,
        _ logger: Logger
    ) async throws {
        let directory = PeerDirectory()
        let registry = TunnelRegistry(directory)
        let memory = MemoryGuard(limit: configuration.tenants.processMemory)
        let load = ListenerLoads()
        self.registry = registry
        self.memory = memory
        self.load = load
        self.group = group
        self.logger = logger
        registry.leaveOutOthers(configuration.leavesOutOthers)
        hub = TunnelHub(
            registry: registry,
            authority: authority,
            audit: audit,
            logger: logger,
            memory: memory,
            tls: try TLSContext(configuration.tunnelTLS),
            configuration: configuration
        )
        let (refusals, meters) = (refusals, meters)
        let peerLogger = logger
        loops = try await PerLoop.make(group.loops) { eventLoop in
            let loop = ProxyLoop(
                configuration,
                registry,
                audit,
                refusals,
                logger,
                memory,
                meters,
                PeerLinks(eventLoop, peerLogger),
                load.proxy,
                eventLoop.buffers
            )
            loop.sweeper.start(on: eventLoop)
            return loop
        }
        peers = PeerNetwork(directory, loops)
        listeners = Listeners(
            group: group,
            loops: loops,
            hub: hub,
            load: load,
            proxyCertificate: try ListenerCertificate(configuration.proxyTLS),
            socksCertificate: try ListenerCertificate(configuration.socksTLS),
            peers: peers
        )
        try peers.apply(configuration)
        let acceptor = try await listeners.bindTunnels(configuration)
        var proxy: (any Channel)?
        do {
            let bound = try await listeners.bindProxy(configuration)
            proxy = bound
            let socks = try await listeners.bindSocks(configuration)
            let peers = try await listeners.bindPeers(configuration)
            state = Mutex(State(proxy: bound, acceptor: acceptor, socks: socks, peers: peers))
        } catch {
            try? await proxy?.close()
            try await acceptor.close()
            throw error
        }
        watchMemory()
    }

    /// Every second, on a thread that may take its time.
    private func watchMemory() {
        let (memory, logger) = (memory, logger)
        let eventLoop = group.next()
        eventLoop.scheduleRepeatedAsyncTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
                guard let isShort = memory.look() else { return }
                logger.log(
                    level: isShort ? .warning : .notice,
                    isShort ? "short of memory: new connections are refused" : "memory suffices again"
                )
            }
        }
    }

    /// Where the proxy entry listens.
    package var proxyHost: String {
        switch state.withLock({ $0.proxy.localAddress?.ipAddress }) {
        case nil, "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        case .some(let address): address
        }
    }

    package var proxyPort: Int { state.withLock { $0.proxy.localAddress?.port ?? 0 } }
    /// Of the SOCKS5 entry; 0 without one.
    package var socksPort: Int { state.withLock { $0.socks?.localAddress?.port ?? 0 } }
    /// Where other services dial; 0 where none do.
    package var peerPort: Int { state.withLock { $0.peers?.localAddress?.port ?? 0 } }
    /// Says what others are told who ask for this service's status.
    package func tell(_ facts: @escaping @Sendable () async -> [UInt8]) { hub.facts = facts }
    /// Where connectors dial.
    package var tunnelPort: Int { state.withLock { $0.acceptor.localAddress?.port ?? 0 } }
    package var proxyAddress: String { state.withLock { $0.proxy.localAddress?.text ?? "" } }
    package var tunnelAddress: String { state.withLock { $0.acceptor.localAddress?.text ?? "" } }
    package var isDraining: Bool { state.withLock { $0.isDraining } }
    package var eventLoops: [any EventLoop] { Array(group.makeIterator()) }

    // MARK: Reload

    /// Takes a new configuration into effect: certificates and limits for what comes next, listeners at once. A request
    /// in progress is not touched.
    ///
    /// - Throws: where a certificate cannot be used or an address not be bound; then nothing has changed.
    package func apply(_ configuration: ServiceConfiguration) async throws {
        let tls = try TLSContext(configuration.tunnelTLS)
        let proxyTLS = try listeners.proxyCertificate.prepare(configuration.proxyTLS)
        let socksTLS = try listeners.socksCertificate.prepare(configuration.socksTLS)
        let old = hub.settings.configuration
        let proxy =
            configuration.proxyAddress == old.proxyAddress ? nil : try await listeners.bindProxy(configuration)
        let isSocksSame = configuration.socksAddress == old.socksAddress
        var socks: (any Channel)?
        let acceptor: (any Channel)?
        do {
            socks = isSocksSame ? nil : try await listeners.bindSocks(configuration)
            let isSame = configuration.tunnelAddress == old.tunnelAddress
            acceptor = isSame ? nil : try await listeners.bindTunnels(configuration)
        } catch {
            try? await socks?.close()
            try? await proxy?.close()
            throw error
        }
        let newSocks = socks
        hub.apply(tls, configuration)
        registry.leaveOutOthers(configuration.leavesOutOthers)
        listeners.proxyCertificate.apply(proxyTLS)
        listeners.socksCertificate.apply(socksTLS)
        try peers.apply(configuration)
        memory.setLimit(configuration.tenants.processMemory)
        try await loops.forEach { $0.apply(configuration) }
        let replaced = state.withLock { state in
            var replaced: [any Channel] = []
            if let proxy {
                replaced.append(state.proxy)
                state.proxy = proxy
            }
            if let acceptor {
                replaced.append(state.acceptor)
                state.acceptor = acceptor
            }
            if !isSocksSame {
                if let socks = state.socks { replaced.append(socks) }
                state.socks = newSocks
            }
            return replaced
        }
        for channel in replaced { try? await channel.close() }
        for channel in state.withLock({ [$0.proxy, $0.acceptor, $0.socks].compactMap(\.self) }) {
            try? await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.handler(type: ConnectionLimiter.self)
                    .setLimit(DescriptorLimit.cap(configuration.maxConnections))
            }.get()
        }
    }

    /// Cuts the tunnels of connectors whose certificate counts no more.
    package func cut(serials: Set<String>) {
        for group in registry.allGroups() {
            for tunnel in group.all() where serials.contains(tunnel.serial) {
                group.details.withLock { $0.isRevoked = true }
                tunnel.cut(TunnelError.revoked)
            }
        }
    }

    /// The last requests, the latest first.
    package func recentRequests() async -> [RecentRequest] {
        let lists = (try? await loops.map { $0.recent.all }) ?? []
        return Array(lists.flatMap { $0 }.sorted { $0.time > $1.time }.prefix(RecentRequests.limit))
    }

    /// How full the addresses are on which it listens.
    package var listenerStatus: [ServiceStatus.Listener] {
        load.all.filter { $0.load.limit > 0 }.map { name, load in
            ServiceStatus.Listener(
                name: name,
                connections: load.connections,
                limit: load.limit,
                refused: load.refusedConnections,
                exhaustions: load.exhaustions
            )
        }
    }

    /// Connections to the tunnels' address that were refused, the latest first.
    package var refusedConnections: [ServiceStatus.RefusedConnection] { hub.refusedConnections.recent }
    /// Who answers for connectors' certificates.
    package var authority: any CertificateAuthority { hub.authority }

    // MARK: Metrics

    /// Everything counted since the start, added up over the event loops.
    package func writeMetrics(_ exposition: inout Exposition) async throws {
        let hops = try await peers.counts()
        let parts = try await loops.map { loop in (loop.snapshot, loop.connectionCount) }
        ServiceMetrics(
            connectors: parts.flatMap(\.0),
            clientConnections: parts.map(\.1).reduce(0, +),
            roundTrip: hub.roundTripHistogram,
            groups: registry.status(systems: 0),
            closures: hub.closureCounts,
            refused: hub.refusedConnections.counts,
            listeners: load.all,
            shortages: memory.shortageCount,
            limited: meters.refusalCounts,
            hops: hops
        ).write(&exposition)
    }

    // MARK: End

    /// Takes no new connections, finishes what is in flight within the configured limit, says goodbye to the connectors
    /// and ends.
    package func shutdown() async throws {
        let (proxy, acceptor, socks, others) = state.withLock { state in
            state.isDraining = true
            return (state.proxy, state.acceptor, state.socks, state.peers)
        }
        try? await others?.close()
        try? await peers.drain(hub.drainLimit)
        try? await socks?.close()
        try? await proxy.close()
        try await loops.forEach { $0.drain() }
        logger.info("connectivity service draining")
        await waitUntilIdle(hub.drainLimit)
        try? await acceptor.close()
        for tunnel in registry.all() {
            try? await tunnel.eventLoop.submit {
                tunnel.handler.value.drain("the service is stopping", limit: .seconds(1))
            }.get()
        }
        // Connectors take their tunnels away; one that does not is cut.
        await waitUntil(.seconds(2)) { [registry] in registry.all().isEmpty }
        try? await peers.stop()
        try await group.shutdownGracefully()
    }

    private func waitUntilIdle(_ limit: TimeAmount) async {
        let isIdle = await waitUntil(limit) { [loops, peers] in
            guard await peers.relays() == 0 else { return false }
            guard let counts = try? await loops.map(\.connectionCount) else { return true }
            return counts.allSatisfy { $0 == 0 }
        }
        if !isIdle { logger.warning("the time to finish requests in flight is over; the rest is cut") }
    }

    /// - Returns: whether it came true within `limit`.
    @discardableResult
    private func waitUntil(_ limit: TimeAmount, _ isTrue: () async -> Bool) async -> Bool {
        let end = NIODeadline.now() + limit
        while NIODeadline.now() < end {
            if await isTrue() { return true }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return false
    }
}
