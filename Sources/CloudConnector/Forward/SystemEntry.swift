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
    }

    let virtualHost: String
    var counts = RequestCounts()
    /// Of new connections to the internal host, name resolution and TLS included.
    var connect = Histogram()
    /// From the request's way out to the head of the response.
    var backend = Histogram()

    init(_ virtualHost: String) { self.virtualHost = virtualHost }

    var snapshot: Snapshot { Snapshot(virtualHost: virtualHost, counts: counts, connect: connect, backend: backend) }
}

/// What one event loop keeps for one system mapping of the policy in force.
final class SystemEntry {
    let system: SystemMapping
    let metrics: SystemMetrics
    var idle = IdleConnections<UpstreamConnection>()

    init(_ system: SystemMapping, _ metrics: SystemMetrics) {
        self.system = system
        self.metrics = metrics
    }
}
