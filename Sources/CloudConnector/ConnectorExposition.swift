package import AdminProtocol
internal import Kerberos
internal import PrincipalPropagation
package import Telemetry
internal import TextFormats

/// What one connector has to tell Prometheus.
package struct ConnectorMetricsPart: Sendable {
    var subaccount: String
    var locationID: String
    var systems: [SystemMetrics.Snapshot]
    var status: ConnectorStatus.Connector
    var counts: ConnectorState.Counts
    var idle: Int
    /// Nil where no users arrive.
    var users: UserPropagation.Counts?
    var tickets: KerberosDelegation.Counts?

    package init(_ connector: Connector) async throws {
        users = connector.userCounts
        tickets = connector.ticketCounts
        subaccount = connector.configuration.subaccount
        locationID = connector.configuration.locationID
        var merged: [String: SystemMetrics.Snapshot] = [:]
        for part in try await connector.metrics() {
            guard var sum = merged[part.virtualHost] else {
                merged[part.virtualHost] = part
                continue
            }
            sum.counts.add(part.counts)
            sum.connect.add(part.connect)
            sum.backend.add(part.backend)
            sum.add(usage: part)
            merged[part.virtualHost] = sum
        }
        systems = merged.values.sorted { $0.virtualHost < $1.virtualHost }
        status = await connector.status()
        counts = connector.state.counts
        idle = try await connector.idleConnections
    }
}

/// The connector's metrics in the text format of Prometheus. A request for something that is not exposed counts under
/// an empty `virtual_host`: names are the clients' to choose, and must not fill the memory.
package struct ConnectorExposition {
    package var parts: [ConnectorMetricsPart]
    package var audit: AuditLog
    package var state: ConfigurationState

    package init(parts: [ConnectorMetricsPart], audit: AuditLog, state: ConfigurationState) {
        self.parts = parts
        self.audit = audit
        self.state = state
    }

    /// Adds the metrics of all connectors of the process.
    package func write(_ exposition: inout Exposition) {
        writeRequests(&exposition)
        writeTunnels(&exposition)
        writeSystems(&exposition)
        writeUsers(&exposition)
        exposition.family("connector_audit_ok", .gauge, "1 while the audit log can be written, or is off.")
        exposition.sample([:], audit.isWritable ? 1 : 0)
        exposition.family("connector_audit_records_lost_total", .counter, "Audit records that could not be kept.")
        exposition.sample([:], audit.lost)
        exposition.family("connector_reloads_total", .counter, "Reloads that took effect.")
        exposition.sample([:], state.reloads)
        exposition.family("connector_configuration_ok", .gauge, "0 after a reload that failed.")
        exposition.sample([:], state.lastError.isEmpty ? 1 : 0)
    }

    private func writeRequests(_ exposition: inout Exposition) {
        exposition.family("connector_requests_total", .counter, "Requests by status class; 0xx is incomplete.")
        each { part, system in
            for (index, count) in system.counts.statusClasses.enumerated() where count > 0 {
                exposition.sample(
                    labels(part, system.virtualHost, "status", "\(index)xx"),
                    count
                )
            }
        }
        exposition.family(
            "connector_refusals_total",
            .counter,
            "Requests refused or failed: who is at fault, in which phase, and the cause."
        )
        each { part, system in
            for (key, count) in system.counts.refusals.sorted(by: { $0.key < $1.key }) {
                exposition.sample(
                    [
                        "subaccount": part.subaccount, "location_id": part.locationID,
                        "virtual_host": system.virtualHost,
                        "source": key.source.rawValue, "phase": key.phase.rawValue, "error": key.error,
                    ],
                    count
                )
            }
        }
        exposition.family("connector_body_bytes_total", .counter, "Bytes of request and response bodies.")
        each { part, system in
            let bytes = [("request", system.counts.requestBytes), ("response", system.counts.responseBytes)]
            for (direction, count) in bytes {
                exposition.sample(
                    labels(part, system.virtualHost, "direction", direction),
                    count
                )
            }
        }
        exposition.family(
            "connector_phase_seconds",
            .histogram,
            "Time to connect to the internal host, and from the request's way out to the response's head."
        )
        each { part, system in
            for (phase, histogram) in [("connect", system.connect), ("backend", system.backend)] {
                guard histogram.count > 0 else { continue }
                exposition.histogram(
                    labels(part, system.virtualHost, "phase", phase),
                    histogram
                )
            }
        }
    }

    /// What tells one series from another; several connectors of one process may have the same virtual hosts.
    private func labels(
        _ part: ConnectorMetricsPart,
        _ host: String,
        _ name: String? = nil,
        _ value: String = ""
    ) -> KeyValuePairs<String, String> {
        guard let name else {
            return ["subaccount": part.subaccount, "location_id": part.locationID, "virtual_host": host]
        }
        return ["subaccount": part.subaccount, "location_id": part.locationID, "virtual_host": host, name: value]
    }

    private func each(_ body: (ConnectorMetricsPart, SystemMetrics.Snapshot) -> Void) {
        for part in parts { for system in part.systems { body(part, system) } }
    }

    private func writeTunnels(_ exposition: inout Exposition) {
        func gauge(_ name: String, _ help: String, _ kind: Exposition.Kind, _ value: (ConnectorMetricsPart) -> Int?) {
            exposition.family(name, kind, help)
            for part in parts {
                guard let value = value(part) else { continue }
                exposition.sample(["subaccount": part.subaccount, "location_id": part.locationID], value)
            }
        }
        gauge("connector_tunnels", "Tunnels that are up.", .gauge) { $0.status.tunnels.count }
        gauge("connector_streams", "Requests in progress.", .gauge) { part in
            part.status.tunnels.reduce(0) { $0 + $1.streams }
        }
        gauge("connector_tunnel_connects_total", "Tunnels that came up.", .counter) { $0.counts.connects }
        gauge("connector_tunnel_disconnects_total", "Tunnels that ended.", .counter) { $0.counts.disconnects }
        gauge("connector_tunnel_failures_total", "Attempts that failed.", .counter) { $0.counts.failedAttempts }
        gauge("connector_tunnel_floods_total", "Tunnels closed for a flood of frames by the service.", .counter) {
            $0.counts.floods
        }
        gauge("connector_idle_backend_connections", "Unused connections to internal hosts.", .gauge) { $0.idle }
        gauge("connector_certificate_expiry_timestamp_seconds", "When the tunnel's certificate ends.", .gauge) {
            $0.status.certificateExpires
        }
    }

    private func writeUsers(_ exposition: inout Exposition) {
        func counter(_ name: String, _ help: String, _ value: (ConnectorMetricsPart) -> Int?) {
            exposition.family(name, .counter, help)
            for part in parts {
                guard let value = value(part) else { continue }
                exposition.sample(["subaccount": part.subaccount, "location_id": part.locationID], value)
            }
        }
        counter("connector_user_certificates_total", "Certificates made for users.") { $0.users?.made }
        counter("connector_user_tokens_refused_total", "Tokens of users that did not count.") { $0.users?.refused }
        counter("connector_user_tickets_total", "Users for whom a KDC was asked for a ticket.") { $0.tickets?.users }
        counter("connector_user_tickets_refused_total", "Requests of users that got no Kerberos ticket.") {
            $0.tickets?.refused
        }
    }

    private func writeSystems(_ exposition: inout Exposition) {
        exposition.family("connector_websockets", .gauge, "WebSocket connections that are open.")
        each { part, system in
            if !system.virtualHost.isEmpty { exposition.sample(labels(part, system.virtualHost), system.upgraded) }
        }
        exposition.family("connector_system_learns", .gauge, "1 while everything below the system's host passes.")
        for part in parts {
            for system in part.status.systems where system.learnsUntil != nil {
                exposition.sample(labels(part, system.virtualHost), 1)
            }
        }
        exposition.family("connector_system_reachable", .gauge, "1 reachable, 0 not reachable, -1 unchecked.")
        for part in parts {
            for system in part.status.systems {
                let value =
                    switch system.availability.state {
                    case .reachable: 1
                    case .notReachable: 0
                    case .unchecked: -1
                    }
                exposition.sample(labels(part, system.virtualHost), value)
            }
        }
    }
}
