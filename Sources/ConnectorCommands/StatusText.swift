internal import AdminProtocol
internal import ControlProtocol
internal import HostSystem
internal import Telemetry
internal import TextFormats

/// One screen for a person. What other computers say of themselves is escaped.
package enum StatusText {
    static func describe(_ status: ConnectorStatus) -> String {
        var text =
            "connectord \(status.version), up \(duration(since: status.startedAt)), log level \(status.logLevel)\n"
        text += configuration(status.configuration)
        text += "audit          \(status.audit)\n"
        for connector in status.connectors { text += describe(connector) }
        if status.connectors.isEmpty {
            text += "not set up yet: log in on the page (connectord admin password) and add a subaccount\n"
        }
        return text
    }

    private static func describe(_ connector: ConnectorStatus.Connector) -> String {
        let location = connector.locationID.isEmpty ? "default location" : "location ID \(connector.locationID)"
        var text = "\nsubaccount     \(connector.subaccount), \(location)\n"
        text += "service        \(connector.service)\nstate          \(connector.state)\n"
        if let expires = connector.certificateExpires {
            text += "certificate    ends \(WallClock.text(expires)) (\(days(until: expires)))\n"
        }
        for tunnel in connector.tunnels {
            let roundTrip = tunnel.roundTripMilliseconds.map { ", round trip \($0) ms" } ?? ""
            text += "tunnel         \(tunnel.service), up \(duration(since: tunnel.connectedSince)), "
            let last = tunnel.silentSeconds.map { ", silent for \($0) s" } ?? roundTrip
            text += "\(Count.text(tunnel.streams, "request")) in flight\(last)"
            text += tunnel.isStatic == true ? ", static: the other end does not hear what is exposed\n" : "\n"
        }
        if connector.isStandingBy == true {
            text += "stands by      another connector of this identity serves; this one does as soon as that has gone\n"
        }
        for (name, cause) in connector.failures.sorted(by: { $0.key < $1.key }) {
            text += "no tunnel      \(name): \(cause)\n"
        }
        return text + table(connector.systems)
    }

    /// Virtual host, internal host, protocol and what the last check said.
    static func table(_ systems: [ConnectorStatus.System]) -> String {
        let rows = systems.map { system in
            [
                system.virtualHost, system.internalHost, system.protocol,
                Count.text(system.activeResources, "resource"),
                describe(system.availability)
                    + (system.learnsUntil.map { "; LEARNS: everything passes until \(WallClock.text($0))" } ?? ""),
            ]
        }
        return rows.isEmpty ? "no systems are exposed\n" : align(rows)
    }

    /// Texts were escaped by whoever has seen the internal host.
    static func steps(_ systems: [AdminMessage.Steps.System]) -> String {
        var text = systems.isEmpty ? "no systems are exposed\n" : ""
        for system in systems {
            text += "\(system.virtualHost)\n"
            text += align(
                system.steps.map {
                    [
                        "  " + $0.name, $0.isGood ? "ok" : "FAILED", "\(($0.milliseconds * 100).rounded() / 100) ms",
                        $0.text,
                    ]
                }
            )
        }
        return text
    }

    private static func describe(_ availability: Availability) -> String {
        switch availability.state {
        case .reachable: "reachable (\(availability.milliseconds ?? 0) ms)"
        case .notReachable: "not reachable: \(availability.cause)"
        case .unchecked: "unchecked"
        }
    }

    static func describe(_ status: ServiceStatus) -> String {
        var text = "connectord \(status.version), up \(duration(since: status.startedAt)), log level \(status.logLevel)"
        text += status.isDraining ? ", STOPPING\n" : "\n"
        text += configuration(status.configuration)
        text += "audit          \(status.audit)\nproxy          \(status.proxy)\ntunnels        \(status.tunnel)\n"
        if let store = status.store {
            let since = " for \(duration(since: store.since))"
            text += "store          \(escape(store.address)), "
            text +=
                store.isUp
                ? "connected\(since)\n"
                : "AWAY\(since): \(escape(store.cause)); enrolment and changes are refused, requests go on\n"
        }
        text += services(status)
        for listener in status.listeners ?? [] { text += describe(listener) }
        if status.connectors.isEmpty { text += "\nno connector has been here\n" }
        for connector in status.connectors {
            let location = connector.locationID.isEmpty ? "default location" : "location ID \(connector.locationID)"
            text += "\nsubaccount     \(connector.subaccount), \(location)\n"
            let since = connector.connectedSince ?? connector.disconnectedSince
            text += "state          \(connector.state)" + (since.map { " for \(duration(since: $0))" } ?? "")
            text += connector.silentSeconds.map { ", silent for \($0) s" } ?? ""
            text += ", \(Count.text(connector.tunnels, "tunnel")), from \(connector.remote)\n"
            if let places = connector.services?.sorted(by: { $0.key < $1.key }), !places.isEmpty {
                text +=
                    "tunnels to     " + places.map { "\(escape($0.key)) \($0.value)" }.joined(separator: ", ") + "\n"
            }
            if let dialect = connector.dialect {
                text +=
                    "dialect        \(escape(dialect)), static: what it exposes is not known, and no Cloud Connector "
                text += "checks paths there\n"
            }
            if !connector.version.isEmpty {
                let description = connector.description.isEmpty ? "" : ", " + escape(connector.description)
                text += "connector      \(escape(connector.version))\(description)\n"
            }
            text += replicas(connector.replicas ?? [])
            if let expires = connector.certificateExpires {
                text += "certificate    ends \(WallClock.text(expires)) (\(days(until: expires)))\n"
            }
            let rows = connector.systems.map { system in
                [
                    escape(system.host), escape(system.protocol), escape(system.type),
                    system.hasResources ? "has resources" : "no resources", escape(system.availability),
                ]
            }
            guard connector.dialect == nil else { continue }
            text += rows.isEmpty ? "no systems are exposed\n" : align(rows)
            if let omitted = connector.omittedSystems { text += "  and \(omitted) more\n" }
        }
        return text + refused(status.refusedConnections ?? []) + certificates(status)
    }

    /// Those that share the store.
    private static func services(_ status: ServiceStatus) -> String {
        guard let name = status.name else { return "" }
        var text = "service        \(escape(name))"
        if let fault = status.directoryFault { text += ", NOT KNOWN to the others: \(escape(fault))" }
        text += "\n"
        for other in status.services ?? [] {
            text += "beside         \(escape(other.name)) at \(escape(other.address)), \(escape(other.version))"
            if let failure = other.failure {
                text += ", DOES NOT ANSWER: \(escape(failure))\n"
                continue
            }
            text += other.startedAt.map { ", up \(duration(since: $0))" } ?? ""
            text += ", \(Count.text(other.connectors, "connector")), \(Count.text(other.tunnels, "tunnel"))"
            text += other.isDraining ?? false ? ", STOPPING\n" : "\n"
        }
        return text
    }

    /// Those that serve side by side.
    private static func replicas(_ replicas: [ServiceStatus.Replica]) -> String {
        let isMixed = Set(replicas.map(\.configuration)).count > 1
        let rows = replicas.map { replica in
            [
                "instance \(escape(replica.instance))", Count.text(replica.tunnels, "tunnel"), "from \(replica.remote)",
                "configuration \(escape(replica.configuration))",
                replica.isLeftOut
                    ? "LEFT OUT: not the configuration of the others" : isMixed ? "configurations differ" : "",
            ]
        }
        return rows.isEmpty ? "" : align(rows)
    }

    private static func describe(_ listener: ServiceStatus.Listener) -> String {
        var text = "connections    \(listener.name): \(listener.connections) of \(listener.limit)"
        if listener.isFull { text += ", FULL: who comes now waits" }
        if listener.refused > 0 { text += ", \(listener.refused) refused since the start" }
        if listener.exhaustions > 0 { text += ", out of file descriptors \(Count.text(listener.exhaustions, "time"))" }
        return text + "\n"
    }

    private static func refused(_ connections: [ServiceStatus.RefusedConnection]) -> String {
        guard !connections.isEmpty else { return "" }
        let rows = connections.prefix(10).map { item in
            let whose = item.subaccount.map { subaccount in
                let location = item.locationID ?? ""
                return escape(subaccount) + (location.isEmpty ? "" : ", location ID \(escape(location))")
            }
            return [
                WallClock.text(item.time), item.count > 1 ? "\(item.count) times" : "", item.remote, whose ?? "",
                "\(item.what): \(escape(item.cause))",
            ]
        }
        return "\nconnections refused at the tunnels' address, the latest first\n" + align(rows)
    }

    /// The last requests, each in a line.
    static func describe(_ requests: [RecentRequest]) -> String {
        guard !requests.isEmpty else { return "no request has been here yet\n" }
        let head = ["time", "id", "status", "ms", "connect ms", "backend ms", "request", "decision"]
        return align(
            [head]
                + requests.map { item in
                    func milliseconds(_ value: Double?) -> String { value.map { "\($0)" } ?? "-" }
                    return [
                        WallClock.text(item.time), escape(item.id),
                        item.status.map { $0 == 0 ? "cut" : "\($0)" } ?? "open", milliseconds(item.milliseconds),
                        milliseconds(item.connectMilliseconds), milliseconds(item.backendMilliseconds),
                        "\(escape(item.method)) \(escape(item.target))",
                        item.source.map {
                            "\($0.rawValue) (\(item.decision), \(item.error ?? "")): \(item.cause ?? "")"
                        }
                            ?? item.decision,
                    ]
                }
        )
    }

    /// What the service's authority has issued, the latest last, and tokens that nobody has used yet.
    private static func certificates(_ status: ServiceStatus) -> String {
        func whose(_ subaccount: String, _ location: String) -> String {
            escape(subaccount) + (location.isEmpty ? "" : ", location ID \(escape(location))")
        }
        var text = ""
        if let certificates = status.certificates, !certificates.isEmpty {
            let now = WallClock.seconds()
            let rows = certificates.suffix(50).map { item in
                let state = item.isRevoked ? "revoked" : item.expires < now ? "expired" : "valid"
                let instance = item.instance.map { " as \(escape($0))" } ?? ""
                return [
                    whose(item.subaccount, item.locationID) + instance, item.serial,
                    "ends \(WallClock.text(item.expires))", state,
                ]
            }
            text += "\n\(Count.text(certificates.count, "certificate"))\n" + align(rows)
        }
        if let tokens = status.tokens, !tokens.isEmpty {
            let rows = tokens.map {
                [whose($0.subaccount, $0.locationID), "valid until \(WallClock.text($0.expires))"]
            }
            text += "\n\(Count.text(tokens.count, "token")) for enrolment, not used yet\n" + align(rows)
        }
        return text
    }

    private static func configuration(_ state: ConfigurationState) -> String {
        var text =
            "configuration  \(state.file), read \(WallClock.text(state.loadedAt)), \(Count.text(state.reloads, "reload"))\n"
        if !state.lastError.isEmpty { text += "LAST RELOAD FAILED; what was read before is in force:\n" }
        for finding in state.lastError.prefix(5) { text += "  \(finding)\n" }
        return text
    }

    private static func escape(_ text: String) -> String {
        ConnectorLogHandler.escaped(text.split { $0.isWhitespace }.joined(separator: " "), isQuoted: false)
    }

    private static func align(_ rows: [[String]]) -> String {
        let widths = rows.reduce(into: [Int](repeating: 0, count: rows[0].count)) { widths, row in
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            return "  " + cells.joined(separator: "  ") + "\n"
        }.joined()
    }

    private static func duration(since seconds: Int) -> String {
        let passed = max(0, WallClock.seconds() - seconds)
        switch passed {
        case ..<120: return "\(passed) s"
        case ..<7200: return "\(passed / 60) min"
        case ..<172_800: return "\(passed / 3600) h"
        default: return "\(passed / 86400) days"
        }
    }

    private static func days(until seconds: Int) -> String {
        let left = seconds - WallClock.seconds()
        if left < 0 { return "EXPIRED" }
        return left < 172_800 ? "in \(left / 3600) h" : "in \(left / 86400) days"
    }
}
