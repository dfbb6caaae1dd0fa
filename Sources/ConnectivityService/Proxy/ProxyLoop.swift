internal import Cryptography
internal import EpollTransport
internal import Logging
internal import NIOCore
internal import Networking
internal import Telemetry
internal import TunnelCore

/// What all client connections of one event loop share.
final class ProxyLoop {
    /// Changes with a reload; a connection asks for each request anew.
    private(set) var configuration: ServiceConfiguration
    let registry: TunnelRegistry
    let logger: Logger
    let audit: AuditLog
    let refusals: RecentRefusals
    let memory: MemoryGuard
    let meters: RequestMeters
    let peers: PeerLinks
    private let load: ListenerLoad
    /// Connections whose clients take nothing of their responses.
    private var stalled: [ObjectIdentifier: ProxyConnection] = [:]
    let sweeper = DeadlineSweeper()
    private(set) var ticks: ProxyTicks
    let fields: FieldBlock
    let buffers: LoopBuffers
    let fieldSpares = FieldSpares()
    var requestIDs = RequestIDGenerator()
    var tokens = TokenCache()
    var recent = RecentRequests()
    /// Of requests beyond a limit.
    var limitedLog = RefusalThrottle()
    var turns = RefusalTurns<RefusalTurn>()
    /// When they are looked at next.
    var plannedTurns: (at: NIODeadline, timer: Scheduled<Void>)?
    /// Client connections.
    var connectionCount = 0
    /// The tick from which idle connections are closed because the service is going to stop; nil while it is not.
    private(set) var drainTick: Int?
    private var metrics: [ObjectIdentifier: ConnectorMetrics] = [:]
    /// Of requests for which there is no connector.
    let unmatched = ConnectorMetrics(nil)

    init(
        _ configuration: ServiceConfiguration,
        _ registry: TunnelRegistry,
        _ audit: AuditLog,
        _ refusals: RecentRefusals,
        _ logger: Logger,
        _ memory: MemoryGuard,
        _ meters: RequestMeters,
        _ peers: PeerLinks,
        _ load: ListenerLoad,
        _ buffers: LoopBuffers
    ) {
        self.memory = memory
        self.meters = meters
        self.peers = peers
        self.load = load
        self.buffers = buffers
        self.refusals = refusals
        self.configuration = configuration
        self.registry = registry
        self.audit = audit
        self.logger = logger
        self.ticks = ProxyTicks(configuration)
        self.fields = FieldBlock(capacity: 8192, fields: 108)
    }

    func apply(_ configuration: ServiceConfiguration) {
        self.configuration = configuration
        ticks = ProxyTicks(configuration)
    }

    /// From now on each connection ends with its next answer; a client that is just sending gets that answer.
    /// A trusted peer does not say who its client is.
    func refused(_ channel: any Channel, _ cause: String) {
        logger.warning(
            "connection refused",
            metadata: ["client": "\(channel.remoteAddress?.text ?? "")", "cause": "it \(cause)"]
        )
    }

    func drain() { drainTick = sweeper.tick + DeadlineSweeper.ticks(.milliseconds(500)) }

    var isDraining: Bool { drainTick != nil }

    /// Places are scarce, or memory: idle things go first.
    var isCrowded: Bool { load.isCrowded || memory.isShort }

    /// Connections that one subaccount may have.
    var tenantShare: Int { configuration.maxConnections - configuration.maxConnections / 4 }

    // MARK: Clients that take nothing

    func stalls(_ connection: ProxyConnection) { stalled[ObjectIdentifier(connection)] = connection }
    func goesOn(_ connection: ProxyConnection) { stalled[ObjectIdentifier(connection)] = nil }

    /// Cuts the client of a connector that has taken nothing for the longest time, and for ten seconds at least: others wait
    /// for its place.
    func shedStalled(of group: TunnelGroup) {
        let limit = sweeper.tick - ticks.crowdedIdle
        let victim = stalled.values.filter { $0.group === group && $0.stalledSince <= limit }
            .min { $0.stalledSince < $1.stalledSince }
        victim?.shed()
    }

    func metrics(of group: TunnelGroup?) -> ConnectorMetrics {
        guard let group else { return unmatched }
        if let metrics = metrics[ObjectIdentifier(group)] { return metrics }
        let new = ConnectorMetrics(group)
        metrics[ObjectIdentifier(group)] = new
        return new
    }

    /// A copy of all counts.
    var snapshot: [ConnectorMetrics.Snapshot] { (metrics.values + [unmatched]).map(\.snapshot) }
}

/// `ProxyTimes` in ticks of the sweeper.
struct ProxyTicks {
    let requestHead: Int
    let requestBody: Int
    /// For the first bytes of a body, before its rate counts.
    let bodyGrace: Int
    /// Bytes of a body that are worth one tick; 0 where a single one is worth as much as many.
    let bodyBytes: Int
    /// For connections without a request where others wait.
    let crowdedIdle: Int
    let keepAlive: Int
    let responseHead: Int
    let exchange: Int
    let lingering: Int

    init(_ configuration: ServiceConfiguration) {
        let times = configuration.times
        bodyBytes =
            configuration.minimumBodyRate == 0
            ? 0 : max(1, configuration.minimumBodyRate * DeadlineSweeper.tickLength / 1000)
        bodyGrace = DeadlineSweeper.ticks(bodyBytes == 0 ? times.requestBody : min(.seconds(10), times.requestBody))
        crowdedIdle = DeadlineSweeper.ticks(min(.seconds(10), times.keepAlive))
        requestHead = DeadlineSweeper.ticks(times.requestHead)
        requestBody = DeadlineSweeper.ticks(times.requestBody)
        keepAlive = DeadlineSweeper.ticks(times.keepAlive)
        responseHead = DeadlineSweeper.ticks(times.responseHead)
        exchange = DeadlineSweeper.ticks(times.exchange)
        lingering = DeadlineSweeper.ticks(times.lingering)
    }
}

/// What one event loop has counted for one connector.
final class ConnectorMetrics {
    struct Snapshot: Sendable {
        var identity: ConnectorIdentity?
        var counts: RequestCounts
        var total: Histogram
        var tunnel: Histogram
    }

    /// Kept, so that its address stands for it; nil for requests without a connector.
    private let group: TunnelGroup?
    var counts = RequestCounts()
    /// From the request's head to the response's.
    var total = Histogram()
    /// Of that, for one request in sixteen, what was spent neither in connecting to the internal host nor in waiting for it.
    var tunnel = Histogram()

    init(_ group: TunnelGroup?) { self.group = group }

    var snapshot: Snapshot { Snapshot(identity: group?.identity, counts: counts, total: total, tunnel: tunnel) }
}
