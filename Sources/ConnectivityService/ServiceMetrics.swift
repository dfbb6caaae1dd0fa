internal import AdminProtocol
internal import Cryptography
internal import Networking
internal import Telemetry
internal import TextFormats

/// The service's metrics, gathered and ready to be written.
struct ServiceMetrics {
    var connectors: [ConnectorMetrics.Snapshot]
    var clientConnections: Int
    var roundTrip: Histogram
    var groups: [ServiceStatus.Connector]
    /// By cause.
    var closures: [String: Int]
    /// By cause.
    var refused: [String: Int]
    var listeners: [(name: String, load: ListenerLoad)]
    var shortages: Int
    /// By what was limited.
    var limited: [RequestMeters.Scope: Int]
    /// Requests handed over to other services, and taken from them.
    var hops: (sent: Int, received: Int)

    private struct Total {
        var counts = RequestCounts()
        var total = Histogram()
        var tunnel = Histogram()
    }

    func write(_ exposition: inout Exposition) {
        exposition.family(
            "connector_service_hops_total",
            .counter,
            "Requests handed over to another service of the store, and taken from one."
        )
        exposition.sample(["direction": "sent"], hops.sent)
        exposition.sample(["direction": "received"], hops.received)
        var totals: [ConnectorIdentity?: Total] = [:]
        for part in connectors {
            totals[part.identity, default: Total()].counts.add(part.counts)
            totals[part.identity, default: Total()].total.add(part.total)
            totals[part.identity, default: Total()].tunnel.add(part.tunnel)
        }
        let sorted = totals.sorted { Self.key($0.key) < Self.key($1.key) }
        exposition.family("connector_service_requests_total", .counter, "Requests by status class; 0xx is incomplete.")
        for (identity, total) in sorted {
            for (index, count) in total.counts.statusClasses.enumerated() where count > 0 {
                let (subaccount, location) = (identity?.subaccount ?? "", identity?.locationID ?? "")
                exposition.sample(
                    ["subaccount": subaccount, "location_id": location, "status": "\(index)xx"],
                    count
                )
            }
        }
        exposition.family("connector_service_refusals_total", .counter, "Requests answered by the service itself.")
        for (identity, total) in sorted {
            for (key, count) in total.counts.refusals.sorted(by: { $0.key < $1.key }) {
                let (subaccount, location) = (identity?.subaccount ?? "", identity?.locationID ?? "")
                exposition.sample(
                    [
                        "subaccount": subaccount, "location_id": location, "source": key.source.rawValue,
                        "phase": key.phase.rawValue, "error": key.error,
                    ],
                    count
                )
            }
        }
        exposition.family("connector_service_body_bytes_total", .counter, "Bytes of request and response bodies.")
        for (identity, total) in sorted {
            let (subaccount, location) = (identity?.subaccount ?? "", identity?.locationID ?? "")
            for (direction, count) in [
                ("request", total.counts.requestBytes), ("response", total.counts.responseBytes),
            ] {
                exposition.sample(
                    ["subaccount": subaccount, "location_id": location, "direction": direction],
                    count
                )
            }
        }
        exposition.family(
            "connector_service_request_seconds",
            .histogram,
            "From a request's head to its response's: all of it; and, of one request in sixteen, the part spent in the tunnel."
        )
        for (identity, total) in sorted where total.total.count > 0 {
            let (subaccount, location) = (identity?.subaccount ?? "", identity?.locationID ?? "")
            exposition.histogram(["subaccount": subaccount, "location_id": location, "part": "all"], total.total)
            exposition.histogram(["subaccount": subaccount, "location_id": location, "part": "tunnel"], total.tunnel)
        }
        writeTunnels(&exposition)
        writeLimits(&exposition)
    }

    private func writeLimits(_ exposition: inout Exposition) {
        exposition.family(
            "connector_service_tunnels_closed_total",
            .counter,
            "Tunnels that ended, by cause; flood: the connector sent more frames that serve no request than it may."
        )
        for (cause, count) in closures.sorted(by: { $0.key < $1.key }) { exposition.sample(["cause": cause], count) }
        exposition.family(
            "connector_service_connections_refused_total",
            .counter,
            "Connections to the tunnels' address that were refused, by cause; status --cloud lists the last ones."
        )
        for (cause, count) in refused.sorted(by: { $0.key < $1.key }) { exposition.sample(["cause": cause], count) }
        exposition.family("connector_service_listener_connections", .gauge, "Connections, by listener.")
        for (name, load) in listeners { exposition.sample(["listener": name], load.connections) }
        exposition.family(
            "connector_service_listener_connections_max",
            .gauge,
            "Connections that a listener takes; who comes when all are there waits."
        )
        for (name, load) in listeners where load.limit > 0 { exposition.sample(["listener": name], load.limit) }
        exposition.family(
            "connector_service_listener_refused_total",
            .counter,
            "Connections closed at once because their address had its share, or memory was short."
        )
        for (name, load) in listeners { exposition.sample(["listener": name], load.refusedConnections) }
        exposition.family(
            "connector_service_descriptors_exhausted_total",
            .counter,
            "Times at which a listener found no file descriptor."
        )
        for (name, load) in listeners { exposition.sample(["listener": name], load.exhaustions) }
        exposition.family(
            "connector_service_limited_requests_total",
            .counter,
            "Requests answered with 429, by the limit that was reached: limits.per-subaccount, per-client, per-virtual-host."
        )
        for scope in RequestMeters.Scope.allCases { exposition.sample(["limit": scope.rawValue], limited[scope] ?? 0) }
        exposition.family(
            "connector_service_memory_shortages_total",
            .counter,
            "Times at which limits.memory was reached."
        )
        exposition.sample([:], shortages)
    }

    private func writeTunnels(_ exposition: inout Exposition) {
        exposition.family("connector_service_tunnel_round_trip_seconds", .histogram, "Answers to pings in tunnels.")
        exposition.histogram([:], roundTrip)
        exposition.family("connector_service_client_connections", .gauge, "Connections of programs.")
        exposition.sample([:], clientConnections)
        exposition.family("connector_service_tunnels", .gauge, "Tunnels of each connector.")
        for group in groups {
            exposition.sample(["subaccount": group.subaccount, "location_id": group.locationID], group.tunnels)
        }
        exposition.family(
            "connector_service_certificate_expiry_timestamp_seconds",
            .gauge,
            "When a connector's certificate ends, as of its last tunnel."
        )
        for group in groups {
            guard let expires = group.certificateExpires else { continue }
            exposition.sample(["subaccount": group.subaccount, "location_id": group.locationID], expires)
        }
    }

    private static func key(_ identity: ConnectorIdentity?) -> String {
        identity.map { "\($0.subaccount)/\($0.locationID)" } ?? ""
    }
}
