internal import AccessPolicy
internal import Telemetry

/// What has been counted for one virtual host since the start, for the monitoring API and the page.
package struct SystemFigures: Sendable {
    /// What was asked of one resource.
    package struct Usage: Sendable {
        package var path: String
        /// As in the configuration.
        package var access: String
        package var calls: Int
        package var requestBytes: Int
        package var responseBytes: Int
        /// Seconds since the last call; nil for none yet.
        package var age: Int?
    }

    package var virtualHost: String
    /// By `Histogram.callBounds`: how long the internal host took until its response began.
    package var calls: [Int]
    /// To the internal host: all of them, and those without a request.
    package var connections: Int
    package var idle: Int
    package var requests: Int
    package var refused: Int
    package var requestBytes: Int
    package var responseBytes: Int
    package var usage: [Usage]

    init(_ part: SystemMetrics.Snapshot) {
        virtualHost = part.virtualHost
        calls = part.backend.calls
        (connections, idle) = (part.connections, part.idle)
        requests = part.counts.statusClasses.reduce(0, +)
        refused = part.counts.refusals.values.reduce(0, +)
        (requestBytes, responseBytes) = (part.counts.requestBytes, part.counts.responseBytes)
        usage = part.usage.map {
            Usage(
                path: $0.path,
                access: $0.access.rawValue,
                calls: $0.calls,
                requestBytes: $0.requestBytes,
                responseBytes: $0.responseBytes,
                age: $0.age
            )
        }
    }
}

extension ConnectorMetricsPart {
    /// By virtual host; empty for requests to what is not exposed.
    package var figures: [SystemFigures] { systems.map { SystemFigures($0) } }
    /// The same that `status` says.
    package var connector: (subaccount: String, locationID: String) { (subaccount, locationID) }
}
