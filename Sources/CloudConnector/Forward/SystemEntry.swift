internal import AccessPolicy
internal import NIOCore
internal import Telemetry

/// What one event loop has counted for one virtual host. Outlives reloads.
final class SystemMetrics {
    struct Snapshot: Sendable {
        /// "host:port"; empty for requests to what is not exposed.
        var virtualHost: String
        var counts: RequestCounts
        var connect: Histogram
        var backend: Histogram
        /// To the internal host: all of them, and those without a request.
        var connections: Int
        var idle: Int
        /// WebSocket's.
        var upgraded: Int
        var usage: [ResourceUsage.Snapshot]

        mutating func add(usage other: Snapshot) {
            connections += other.connections
            idle += other.idle
            upgraded += other.upgraded
            for one in other.usage {
                guard let place = usage.firstIndex(where: { $0.path == one.path && $0.access == one.access }) else {
                    usage.append(one)
                    continue
                }
                usage[place].calls += one.calls
                usage[place].requestBytes += one.requestBytes
                usage[place].responseBytes += one.responseBytes
                usage[place].age = [usage[place].age, one.age].compactMap { $0 }.min()
            }
        }
    }

    let virtualHost: String
    var counts = RequestCounts()
    /// Of new connections to the internal host, name resolution and TLS included.
    var connect = Histogram()
    /// From the request's way out to the head of the response.
    var backend = Histogram()

    init(_ virtualHost: String) { self.virtualHost = virtualHost }

    var connections = 0
    /// Of those, the ones that WebSocket has.
    var upgraded = 0
    var asked = AskedPaths()
    /// By resource; those of earlier configurations as well, until there are too many.
    private(set) var usage: [ResourceUsage] = []
    static let usageLimit = 4096

    /// The place in `usage` of a resource; the last one is shared by those beyond the limit.
    func place(of resource: Resource) -> Int {
        if let place = usage.firstIndex(where: { $0.path == resource.path && $0.access == resource.access }) {
            return place
        }
        guard usage.count < Self.usageLimit else { return Self.usageLimit - 1 }
        usage.append(ResourceUsage(path: resource.path, access: resource.access))
        return usage.count - 1
    }

    @inline(__always)
    func used(_ place: Int, _ requestBytes: Int, _ responseBytes: Int, at time: NIODeadline) {
        usage[place].calls += 1
        usage[place].requestBytes += requestBytes
        usage[place].responseBytes += responseBytes
        usage[place].last = time
    }

    func snapshot(idle: Int) -> Snapshot {
        let now = NIODeadline.now()
        return Snapshot(
            virtualHost: virtualHost,
            counts: counts,
            connect: connect,
            backend: backend,
            connections: connections,
            idle: idle,
            upgraded: upgraded,
            usage: usage.map { $0.snapshot(now) }
        )
    }
}

/// What was asked of one resource.
struct ResourceUsage {
    struct Snapshot: Sendable {
        var path: String
        var access: Resource.Access
        var calls: Int
        var requestBytes: Int
        var responseBytes: Int
        /// Seconds ago; nil for never.
        var age: Int?
    }

    let path: String
    let access: Resource.Access
    var calls = 0
    var requestBytes = 0
    var responseBytes = 0
    var last = NIODeadline.uptimeNanoseconds(0)

    init(path: String, access: Resource.Access) {
        self.path = path
        self.access = access
    }

    func snapshot(_ now: NIODeadline) -> Snapshot {
        Snapshot(
            path: path,
            access: access,
            calls: calls,
            requestBytes: requestBytes,
            responseBytes: responseBytes,
            age: calls == 0 ? nil : Int((now - last).nanoseconds / 1_000_000_000)
        )
    }
}

/// What one event loop keeps for one system mapping of the policy in force.
final class SystemEntry {
    let system: SystemMapping
    let metrics: SystemMetrics
    /// Those that all may use.
    var idle = IdleConnections<UpstreamConnection>()
    /// Those that are logged on as a user.
    private var owned = OwnedConnections<UpstreamConnection>()
    /// For each resource, its place among the metrics' `usage`.
    let places: [Int]

    init(_ system: SystemMapping, _ metrics: SystemMetrics) {
        self.system = system
        self.metrics = metrics
        places = system.resources.map { metrics.place(of: $0) }
    }

    // MARK: Unused connections

    var unused: [UpstreamConnection] { idle.all + owned.all }
    var unusedCount: Int { idle.count + owned.count }
    var oldestUnused: UpstreamConnection? { idle.oldest ?? owned.oldest }

    func take(of owner: [UInt8], at now: NIODeadline, mustBeFresh: Bool) -> UpstreamConnection? {
        owned.take(of: owner, at: now, mustBeFresh: mustBeFresh)
    }

    /// - Returns: whether there was room.
    func keep(_ connection: UpstreamConnection, limit: Int) -> Bool {
        guard let owner = connection.owner else { return idle.keep(connection, limit: limit) }
        // Users come and go: the one who came last is the likeliest to come again.
        if owned.count >= limit, let oldest = owned.oldest { oldest.abandon() }
        return owned.keep(connection, of: owner, limit: limit)
    }

    func forget(_ connection: UpstreamConnection) {
        if let owner = connection.owner { owned.forget(connection, of: owner) } else { idle.forget(connection) }
    }
}
