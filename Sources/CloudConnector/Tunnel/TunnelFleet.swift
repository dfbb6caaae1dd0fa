internal import Cryptography
internal import EpollTransport
internal import Logging
internal import NIOCore
internal import Networking
internal import Synchronization
internal import TunnelCore

/// Keeps tunnels up to every address of the service, with one set of settings, until it is retired. A reload that
/// changes the settings, a renewed certificate or a rotation makes a new fleet and retires the old one afterwards.
final class TunnelFleet: Sendable {
    let id: Int
    let configuration: DialerConfiguration
    private let tls: TunnelTLS
    private let eventLoops: [EpollEventLoop]
    private let loops: PerLoop<ConnectorLoop>
    private let owner: any TunnelOwner
    private let state: ConnectorState
    private let logger: Logger
    private let targets = Mutex<[DialTarget]>([])
    private let kept = Mutex<Set<DialTarget>>([])
    private let refresh = Wakeup()
    private let nextLoop = Atomic<Int>(0)
    private let isSuperseded = Atomic<Bool>(false)

    private static let reservePause = Duration.seconds(1)

    init(
        id: Int,
        configuration: DialerConfiguration,
        tls: TunnelTLS,
        eventLoops: [EpollEventLoop],
        loops: PerLoop<ConnectorLoop>,
        owner: any TunnelOwner,
        state: ConnectorState,
        logger: Logger
    ) {
        self.id = id
        self.configuration = configuration
        self.tls = tls
        self.eventLoops = eventLoops
        self.loops = loops
        self.owner = owner
        self.state = state
        self.logger = logger
    }

    /// Runs until its task is cancelled and the last tunnel has ended.
    func run() async {
        guard configuration.isActive else { return }
        await withDiscardingTaskGroup { group in
            var backoff = configuration.backoff
            while mayDial {
                var pause = Duration.seconds(60)
                do {
                    let targets = try await resolve()
                    self.targets.withLock { $0 = targets }
                    backoff.reset()
                    for target in targets where kept.withLock({ $0.insert(target).inserted }) {
                        group.addTask { await self.keepUp(target) }
                    }
                } catch {
                    state.failed(configuration.service, "\(error)", logger)
                    pause = backoff.next(.random(in: 0...1))
                }
                await refresh.wait(upTo: pause)
            }
        }
    }

    /// Another fleet has other settings: the tunnels that are up serve on, but what this one was told (a proxy, its password) is
    /// used for no more.
    func dialNoMore() {
        isSuperseded.store(true, ordering: .relaxed)
        refresh.wake()
    }

    private var mayDial: Bool { !Task.isCancelled && !isSuperseded.load(ordering: .relaxed) }

    private func resolve() async throws -> [DialTarget] {
        guard configuration.proxy == nil else { return [DialTarget(name: configuration.service, address: nil)] }
        let addresses = try await AddressResolver.resolve(configuration.host, configuration.port)
        return ServiceChoice.choose(addresses, limit: configuration.services, seed: configuration.seed)
            .map { DialTarget(name: $0.text, address: $0) }
    }

    private func isWanted(_ target: DialTarget) -> Bool { targets.withLock { $0.contains(target) } }

    /// All tunnels to one address.
    private func keepUp(_ target: DialTarget) async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<configuration.connections { group.addTask { await self.keepOneUp(target) } }
        }
        _ = kept.withLock { $0.remove(target) }
        state.forget(target.name)
        refresh.wake()
    }

    /// Dials, serves until the end, waits and dials again, as long as the name has this address.
    private func keepOneUp(_ target: DialTarget) async {
        var backoff = configuration.backoff
        var isReserve = false
        while mayDial, isWanted(target) {
            do {
                let tunnel = try await dial(target)
                let start = ContinuousClock.now
                await withTaskCancellationHandler {
                    await tunnel.waitUntilClosed()
                } onCancel: {
                    // The fleet is retired, maybe in the very moment in which this tunnel came up.
                    tunnel.drain(limit: owner.drainLimit)
                }
                // A service that drops each tunnel at once is no more available than one that refuses it.
                if .now - start > .seconds(10) { backoff.reset() }
                isReserve = tunnel.farewell == TunnelError.superseded.rawValue
            } catch {
                if Task.isCancelled { return }
                let cause = ConnectionError(error).cause
                isReserve = cause.hasSuffix(TunnelError.superseded.rawValue)
                state.failed(target.name, cause, logger)
            }
            // The name may have other addresses by now.
            refresh.wake()
            // Who was superseded stands by, to take over soon after the other one has gone.
            let pause = isReserve ? Self.reservePause : backoff.next(.random(in: 0...1))
            try? await Task.sleep(for: pause)
        }
    }

    private func dial(_ target: DialTarget) async throws -> DialedTunnel {
        let turn = nextLoop.wrappingAdd(1, ordering: .relaxed).newValue
        let tunnel = DialedTunnel(
            id: state.nextTunnelID(),
            fleet: id,
            target: target,
            eventLoop: eventLoops[(turn & .max) % eventLoops.count]
        )
        let channel: any Channel
        do {
            channel = try await connect(tunnel)
        } catch {
            tunnel.ended(error)
            throw error
        }
        try await withTaskCancellationHandler {
            try await tunnel.waitUntilReady()
        } onCancel: {
            // A tunnel that is up ends by draining; one that is not is given up.
            if !state.isLive(tunnel) { channel.close(promise: nil) }
        }
        return tunnel
    }

    private func connect(_ tunnel: DialedTunnel) async throws -> any Channel {
        let timeout = configuration.connectTimeout
        if let address = tunnel.target.address {
            return try await tunnel.eventLoop.connect(to: address, settings: Self.settings, timeout: timeout) {
                try self.addHandlers($0, tunnel)
            }.get()
        }
        let proxy = configuration.proxy!
        return try await HostConnection.open(
            host: proxy.host,
            port: proxy.port,
            on: tunnel.eventLoop,
            settings: Self.settings,
            timeout: timeout
        )
        .flatMapErrorThrowing { throw ProxyConnectError(proxy, cannotBeReached: $0) }
        .flatMapThrowing { channel in
            try self.addHandlers(channel, tunnel, through: proxy)
            return channel
        }.get()
    }

    private static let settings = SocketSettings(
        readSize: 256 << 10,
        lowWatermark: 64 << 10,
        highWatermark: 256 << 10,
        unsentInKernel: 256 << 10
    )

    private func addHandlers(
        _ channel: SocketChannel,
        _ tunnel: DialedTunnel,
        through proxy: DialerConfiguration.Proxy
    ) throws {
        let bound = NIOLoopBound(channel, eventLoop: channel.eventLoop)
        let handler = ProxyConnectHandler(proxy, service: configuration.service) {
            try self.addHandlers(bound.value, tunnel)
        }
        try channel.pipeline.syncOperations.addHandlers(handler, DialFailureHandler(tunnel))
    }

    private func addHandlers(_ channel: any Channel, _ tunnel: DialedTunnel) throws {
        let served = ServedTunnel(loop: loops[channel.eventLoop], tunnel: tunnel, owner: owner)
        let handler = TunnelHandler(
            .server,
            configuration: configuration.http2,
            dialect: configuration.dialect,
            pingInterval: configuration.pingInterval,
            eventLoop: channel.eventLoop,
            delegate: served
        )
        let peer = "the connectivity service at \(configuration.service)"
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(
            TLSHandler(tls.dialled, serverName: configuration.host, peer: peer, keepsBuffers: true)
        )
        if let within = tls.within { try pipeline.addHandler(offer(handler, served, tunnel, within)) }
        try pipeline.addHandler(handler)
    }

    /// Ready before there is a session that requests come in: the Envoy begins one with its first request.
    private func offer(
        _ handler: TunnelHandler,
        _ served: ServedTunnel,
        _ tunnel: DialedTunnel,
        _ context: TLSContext
    ) -> EnvoyHandler {
        let configuration = configuration
        return EnvoyHandler(
            configuration.envoy,
            service: configuration.service,
            pingInterval: configuration.pingInterval,
            makeTLS: {
                TLSHandler(
                    context,
                    serverName: configuration.host,
                    peer: "the Envoy at \(configuration.service)",
                    keepsBuffers: true
                )
            },
            accepted: {
                tunnel.attach(handler)
                served.becomeReady()
            }
        )
    }
}

/// Hears of what fails before there is a tunnel.
private final class DialFailureHandler: ChannelInboundHandler {
    typealias InboundIn = Never
    private let tunnel: DialedTunnel

    init(_ tunnel: DialedTunnel) { self.tunnel = tunnel }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is ProxyConnectError { tunnel.ended(error) }
        context.close(promise: nil)
    }
}
