internal import Logging
internal import NIOCore
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
    let sweeper = DeadlineSweeper()
    private(set) var ticks: ProxyTicks
    let fields: FieldBlock
    var requestIDs = RequestIDGenerator()
    var tokens = TokenCache()
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
        _ logger: Logger
    ) {
        self.refusals = refusals
        self.configuration = configuration
        self.registry = registry
        self.audit = audit
        self.logger = logger
        self.ticks = ProxyTicks(configuration.times)
        self.fields = FieldBlock(capacity: 8192, fields: 108)
    }

    func apply(_ configuration: ServiceConfiguration) {
        self.configuration = configuration
        ticks = ProxyTicks(configuration.times)
    }

    /// From now on each connection ends with its next answer; a client that is just sending gets that answer.
    func drain() { drainTick = sweeper.tick + DeadlineSweeper.ticks(.milliseconds(500)) }

    var isDraining: Bool { drainTick != nil }

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
    let keepAlive: Int
    let exchange: Int
    let lingering: Int

    init(_ times: ProxyTimes) {
        requestHead = DeadlineSweeper.ticks(times.requestHead)
        requestBody = DeadlineSweeper.ticks(times.requestBody)
        keepAlive = DeadlineSweeper.ticks(times.keepAlive)
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
