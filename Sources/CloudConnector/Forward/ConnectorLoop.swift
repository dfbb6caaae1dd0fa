package import AccessPolicy
internal import AdminProtocol
package import AvailabilityCheck
internal import EpollTransport
package import Kerberos
internal import Logging
internal import NIOCore
package import PrincipalPropagation
internal import Telemetry
internal import TunnelCore

/// What new requests begin with: one snapshot of the configuration. A request lives its life on the one it began with.
package struct ForwardingSnapshot: Sendable {
    package var policy: AccessPolicy
    package var backendTLS: BackendTLS
    /// Nil where no users arrive anywhere.
    package var users: UserPropagation?
    /// Nil where none arrive by tickets.
    package var delegation: KerberosDelegation?
    package var configuration: ForwardingConfiguration
    /// A log line for each request.
    var accessLog = false
    /// Spans for requests that somebody traces.
    var isTracing = false
    /// `ConnectorConfiguration.offer`: made once for a configuration, since it reads all of it.
    var offer = ""

    package init(
        policy: AccessPolicy,
        backendTLS: BackendTLS,
        users: UserPropagation? = nil,
        delegation: KerberosDelegation? = nil,
        configuration: ForwardingConfiguration,
        accessLog: Bool = false,
        isTracing: Bool = false,
        offer: String = ""
    ) {
        self.policy = policy
        self.backendTLS = backendTLS
        self.users = users
        self.delegation = delegation
        self.configuration = configuration
        self.accessLog = accessLog
        self.isTracing = isTracing
        self.offer = offer
    }
}

/// What all streams of one event loop share. Used on that loop only.
final class ConnectorLoop {
    let eventLoop: EpollEventLoop
    let logger: Logger
    let audit: AuditLog
    let sweeper = DeadlineSweeper()
    /// For response heads on their way into the tunnel.
    let fields = FieldBlock(capacity: 8192, fields: 128)
    let fieldSpares = FieldSpares()
    private(set) var policy: AccessPolicy
    private(set) var backendTLS: BackendTLS
    private(set) var users: KnownUsers?
    /// Fields by which users arrive somewhere, beside those that never pass: no program may write them, to whatever system.
    private(set) var userFields: [UserAuthentication] = []
    private(set) var configuration: ForwardingConfiguration
    private(set) var accessLog: Bool
    private(set) var isTracing: Bool
    var requestIDs = RequestIDGenerator()
    var recent = RecentForwards()
    /// Since the start.
    var slowest = SlowestForwards()
    /// Paths that are kept of all systems.
    private var askedCount = 0
    private var trimmedAt = 0
    /// Connections to internal hosts, those being opened included.
    private(set) var connectionCount = 0
    var pinned = PinnedConnections<UpstreamConnection>()
    /// To TCP systems, and those of WebSocket.
    var connections: [ObjectIdentifier: any LongConnection] = [:]
    /// Of requests to what is not exposed.
    let unknown = SystemMetrics("")
    private var metrics: [String: SystemMetrics] = [:]
    private var entries: [ObjectIdentifier: SystemEntry] = [:]
    private var lastEntry: SystemEntry?

    init(_ eventLoop: EpollEventLoop, _ snapshot: ForwardingSnapshot, audit: AuditLog, logger: Logger) {
        self.eventLoop = eventLoop
        self.policy = snapshot.policy
        self.backendTLS = snapshot.backendTLS
        self.users = KnownUsers(snapshot)
        self.userFields = UserAuthentication.fields(snapshot.policy)
        self.configuration = snapshot.configuration
        self.accessLog = snapshot.accessLog
        self.isTracing = snapshot.isTracing
        self.audit = audit
        self.logger = logger
    }

    /// Takes a new snapshot into effect. Unused connections to systems that are gone, or whose certificate was accepted
    /// under other rules, are closed; those in use end with their request.
    func apply(_ snapshot: ForwardingSnapshot) {
        let kept = Set(snapshot.policy.systems.map { ObjectIdentifier($0) })
        let isTrustChanged = snapshot.backendTLS !== backendTLS
        policy = snapshot.policy
        backendTLS = snapshot.backendTLS
        userFields = UserAuthentication.fields(snapshot.policy)
        if snapshot.users !== users?.propagation || snapshot.delegation !== users?.delegation {
            users = KnownUsers(snapshot)
        }
        configuration = snapshot.configuration
        accessLog = snapshot.accessLog
        isTracing = snapshot.isTracing
        lastEntry = nil
        for (key, entry) in entries {
            let isKept = kept.contains(key)
            guard !isKept || isTrustChanged && entry.system.protocol.isTLS else { continue }
            for connection in entry.unused { connection.abandon() }
            if !isKept { entries[key] = nil }
        }
        // They may live for days: what is exposed no more is cut.
        for connection in connections.values {
            if let system = connection.system, !kept.contains(ObjectIdentifier(system)), !connection.isStillExposed {
                connection.cut()
            }
        }
        for connection in pinned.all where !kept.contains(ObjectIdentifier(connection.system)) {
            connection.retire()
        }
    }

    /// Makes room for one more connection, at the cost of an unused one if need be.
    func hasRoom() -> Bool {
        if connectionCount < configuration.maxConnections { return true }
        guard let victim = entries.values.lazy.compactMap(\.oldestUnused).first else { return false }
        victim.abandon()
        return true
    }

    // MARK: Connections to internal hosts

    /// - Returns: where it is counted, until it ends.
    func connectionOpens(to system: SystemMapping) -> SystemMetrics {
        connectionCount += 1
        let metrics = entry(system).metrics
        metrics.connections += 1
        return metrics
    }

    func connectionEnded(_ metrics: SystemMetrics) {
        connectionCount -= 1
        metrics.connections -= 1
    }

    /// - Returns: whether there was room, and the system is still exposed.
    func keep(_ connection: UpstreamConnection) -> Bool {
        guard let entry = entries[ObjectIdentifier(connection.system)], connection.backendTLS === backendTLS else {
            return false
        }
        return entry.keep(connection, limit: configuration.poolSize)
    }

    func forget(_ connection: UpstreamConnection) {
        if let pin = connection.pin { pinned.forget(pin) }
        entries[ObjectIdentifier(connection.system)]?.forget(connection)
    }

    func entry(_ system: SystemMapping) -> SystemEntry {
        if let lastEntry, lastEntry.system === system { return lastEntry }
        let key = ObjectIdentifier(system)
        if let entry = entries[key] {
            lastEntry = entry
            return entry
        }
        let name = system.virtualAddress
        let metrics = self.metrics[name] ?? SystemMetrics(name)
        self.metrics[name] = metrics
        let entry = SystemEntry(system, metrics)
        entries[key] = entry
        lastEntry = entry
        return entry
    }

    /// Binds a connection to one client: from now on it answers only requests that carry the pin.
    ///
    /// - Returns: the pin, which nobody can guess; nil where there are too many.
    func pin(_ connection: UpstreamConnection) -> String? {
        if connection.pin == nil { connection.pin = pinned.pin(connection, limit: configuration.maxPinned) }
        return connection.pin
    }

    /// Keeps in mind what was asked for.
    func asked(
        _ metrics: SystemMetrics,
        _ method: RequestMethod,
        _ path: ArraySlice<UInt8>,
        at time: NIODeadline,
        isRefused: Bool
    ) {
        let hour = AskedPaths.hour(time)
        if askedCount >= AskedPaths.limit, hour > trimmedAt { trimAsked(at: hour) }
        let hasRoom = askedCount < AskedPaths.limit
        if metrics.asked.record(method, path, at: hour, isRefused: isRefused, hasRoom: hasRoom) { askedCount += 1 }
    }

    /// Makes room, once an hour at most.
    private func trimAsked(at hour: Int) {
        trimmedAt = hour
        for metrics in metrics.values { askedCount -= metrics.asked.trim(at: hour) }
    }

    /// Requests whose path was not kept.
    var askedMissed: Int { metrics.values.reduce(0) { $0 + $1.asked.missed } }

    /// What was asked for in the last hours, by virtual host.
    func askedPaths(hours: Int) -> [AskedRequest] {
        let hour = AskedPaths.hour(.now())
        return metrics.values.flatMap { metrics in
            askedCount -= metrics.asked.trim(at: hour)
            return metrics.asked.all(at: hour, since: hours).map { entry in
                AskedRequest(
                    virtualHost: metrics.virtualHost,
                    method: entry.method,
                    path: String(decoding: entry.path, as: UTF8.self),
                    count: entry.count,
                    refused: entry.refused
                )
            }
        }
    }

    /// A copy of all counts.
    var snapshot: [SystemMetrics.Snapshot] {
        var idle: [String: Int] = [:]
        for entry in entries.values { idle[entry.system.virtualAddress, default: 0] += entry.unusedCount }
        return (metrics.values + [unknown]).map { $0.snapshot(idle: idle[$0.virtualHost] ?? 0) }
    }

    /// Connections to internal hosts: unused ones.
    var idleCount: Int { entries.values.reduce(0) { $0 + $1.unusedCount } }
}
