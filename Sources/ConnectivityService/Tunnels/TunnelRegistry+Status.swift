package import AdminProtocol
internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import Synchronization
internal import TunnelCore

extension TunnelRegistry {
    /// Every connector that has been here since the service started.
    ///
    /// - Parameter limit: systems of one connector that are listed.
    package func status(systems limit: Int = TunnelRegistry.listedSystems) -> [ServiceStatus.Connector] {
        allGroups().compactMap { group in
            let all = group.all()
            // Known from other services only.
            if all.isEmpty, group.details.withLock({ $0.disconnectedSince == nil }) { return nil }
            let details = group.details.withLock { details in
                if all.isEmpty, let since = details.disconnectedSince, since < WallClock.seconds() - Self.memory {
                    for place in details.replicas.indices { forgetSystems(&details.replicas[place], group.identity) }
                }
                return details
            }
            return status(group.identity, details, all, limit)
        }
    }

    private func status(
        _ identity: ConnectorIdentity,
        _ details: TunnelGroup.Details,
        _ tunnels: [RegisteredTunnel],
        _ limit: Int
    ) -> ServiceStatus.Connector {
        let isUp = !tunnels.isEmpty
        let systems = ReplicaUnion.systems(details.replicas.map(\.systems.list))
        let listed = systems.prefix(limit)
        // The one that came last speaks for all.
        let last = details.replicas.last
        var connector = ServiceStatus.Connector(
            subaccount: identity.subaccount,
            locationID: identity.locationID,
            state: isUp ? "Connected" : details.isRevoked ? "Revoked" : "Disconnected",
            tunnels: tunnels.count,
            connectedSince: isUp ? details.replicas.compactMap(\.connectedSince).min() : nil,
            disconnectedSince: isUp ? nil : details.disconnectedSince,
            remote: last?.remote ?? "",
            version: last?.hello?.version ?? "",
            description: last?.hello?.description ?? "",
            certificateExpires: details.replicas.compactMap(\.certificateExpires).min(),
            startedAt: last?.hello?.startedAt,
            // Of a connector that is away nobody knows.
            systems: isUp
                ? Array(listed)
                : listed.map { system in
                    var system = system
                    system.availability = "unchecked"
                    return system
                },
            omittedSystems: systems.count - listed.count + (details.replicas.map(\.systems.omitted).max() ?? 0)
        )
        if let last, last.dialect != .standard { connector.dialect = last.dialect.rawValue }
        let replicas = details.replicas.compactMap { facts in
            facts.status(tunnels: tunnels.count { $0.replica === facts.replica })
        }
        if isUp, !replicas.isEmpty { connector.replicas = replicas.sorted { $0.instance < $1.instance } }
        return connector
    }

    /// The same with what only the tunnels' own loops know: how long they have been silent.
    package func fullStatus() async -> [ServiceStatus.Connector] {
        var connectors = status()
        for index in connectors.indices {
            let connector = connectors[index]
            let identity = ConnectorIdentity(subaccount: connector.subaccount, locationID: connector.locationID)
            for tunnel in group(identity)?.all() ?? [] {
                let silence = try? await tunnel.eventLoop.submit { tunnel.handler.value.silence }.get()
                guard let silence = silence ?? nil else { continue }
                connectors[index].silentSeconds = max(
                    connectors[index].silentSeconds ?? 0,
                    Int(silence.nanoseconds / 1_000_000_000)
                )
            }
        }
        return connectors
    }
}
