package import AdminProtocol
internal import ControlProtocol
package import Cryptography
internal import HostSystem
internal import NIOCore
internal import Synchronization
internal import TunnelCore

/// Which connectors are here.
package final class TunnelRegistry: Sendable {
    /// What came of a tunnel that asked to be used.
    enum Registration {
        /// `superseded` are tunnels of an earlier session, which no request uses any more.
        case registered(TunnelGroup, RegisteredTunnel, superseded: [RegisteredTunnel])
        /// A later session of the same connector is here.
        case superseded
    }

    private let groups = Mutex<[ConnectorIdentity: TunnelGroup]>([:])
    private let lastID = Atomic<Int>(0)
    private let systems = Mutex(ExposedSystemCounts())
    /// How many superseded sessions of a connector are remembered.
    private static let supersededLimit = 64
    /// Seconds for which the systems of a connector that is away are remembered.
    private static let memory = 3600
    /// Systems of one connector that a status lists.
    package static let listedSystems = 1000

    package init() {}

    /// The group of a connector, whether or not it is connected.
    ///
    /// Clients name location IDs at will, so a group is only made for a connector with a certificate.
    package func group(_ identity: ConnectorIdentity) -> TunnelGroup? {
        groups.withLock { $0[identity] }
    }

    /// Lets requests use a tunnel.
    ///
    /// - Parameter hello: nil for a peer without a control stream; such tunnels supersede nothing.
    func register(
        _ handler: TunnelHandler,
        as identity: ConnectorIdentity,
        hello: ControlMessage.Hello?,
        certificate: CertificateDetails,
        remote: String,
        now: Int
    ) -> Registration {
        let group = groups.withLock { groups in
            if let group = groups[identity] { return group }
            // Connectors of one subaccount count together.
            let usage = groups.first { $0.key.subaccount == identity.subaccount }?.value.usage ?? TenantUsage()
            let group = TunnelGroup(identity: identity, usage: usage)
            groups[identity] = group
            return group
        }
        var old: [RegisteredTunnel] = []
        let isAdmitted = group.details.withLock { details in
            let present = group.all()
            if let hello {
                if present.contains(where: { $0.session != nil && $0.session != hello.session }) {
                    guard !details.superseded.contains(hello.session) else { return false }
                    old = present.filter { $0.session != hello.session }
                    let sessions = Set(old.compactMap(\.session))
                    details.superseded = (details.superseded + sessions).suffix(Self.supersededLimit)
                    details.connectedSince = now
                } else {
                    details.superseded.removeAll { $0 == hello.session }
                }
                if details.hello?.session != hello.session { forgetSystems(&details, identity) }
            }
            details.hello = hello
            details.dialect = handler.dialect
            details.remote = remote
            details.certificateExpires = certificate.notAfter
            details.isRevoked = false
            if present.isEmpty { details.connectedSince = now }
            details.disconnectedSince = nil
            return true
        }
        guard isAdmitted else { return .superseded }
        let tunnel = RegisteredTunnel(
            id: lastID.wrappingAdd(1, ordering: .relaxed).newValue,
            session: hello?.session,
            serial: certificate.serial,
            handler
        )
        group.add(tunnel)
        for tunnel in old { group.remove(tunnel.id) }
        return .registered(group, tunnel, superseded: old)
    }

    // MARK: Exposed systems

    private func forgetSystems(_ details: inout TunnelGroup.Details, _ identity: ConnectorIdentity) {
        let count = details.systems.list.count
        systems.withLock { $0.add(-count, identity.subaccount) }
        details.systems.removeAll()
    }

    /// Remembers a part of a list, as far as the limits go.
    func keep(_ exposed: ControlMessage.Exposed, of group: TunnelGroup, _ limits: ExposedSystemLimits) {
        let subaccount = group.identity.subaccount
        group.details.withLock { details in
            if exposed.isFirst { forgetSystems(&details, group.identity) }
            systems.withLock { counts in
                let room = counts.room(subaccount, own: details.systems.list.count, limits)
                counts.add(details.systems.append(exposed.systems, room: room), subaccount)
            }
        }
    }

    func all() -> [RegisteredTunnel] { groups.withLock { $0.values.flatMap { $0.all() } } }

    /// Every connector that has been here, by subaccount and location ID.
    package func allGroups() -> [TunnelGroup] {
        groups.withLock { Array($0.values) }.sorted {
            ($0.identity.subaccount, $0.identity.locationID) < ($1.identity.subaccount, $1.identity.locationID)
        }
    }

    /// Every connector that has been here since the service started.
    ///
    /// - Parameter limit: systems of one connector that are listed.
    package func status(systems limit: Int = TunnelRegistry.listedSystems) -> [ServiceStatus.Connector] {
        allGroups().map { group in
            let tunnels = group.count
            let details = group.details.withLock { details in
                if tunnels == 0, let since = details.disconnectedSince, since < WallClock.seconds() - Self.memory {
                    forgetSystems(&details, group.identity)
                }
                return details
            }
            let listed = details.systems.list.prefix(limit)
            var connector = ServiceStatus.Connector(
                subaccount: group.identity.subaccount,
                locationID: group.identity.locationID,
                state: tunnels > 0 ? "Connected" : details.isRevoked ? "Revoked" : "Disconnected",
                tunnels: tunnels,
                connectedSince: tunnels > 0 ? details.connectedSince : nil,
                disconnectedSince: tunnels > 0 ? nil : details.disconnectedSince,
                remote: details.remote,
                version: details.hello?.version ?? "",
                description: details.hello?.description ?? "",
                certificateExpires: details.certificateExpires,
                startedAt: details.hello?.startedAt,
                // Of a connector that is away nobody knows.
                systems: tunnels > 0
                    ? Array(listed)
                    : listed.map { system in
                        var system = system
                        system.availability = "unchecked"
                        return system
                    },
                omittedSystems: details.systems.list.count - listed.count + details.systems.omitted
            )
            if details.dialect != .standard { connector.dialect = details.dialect.rawValue }
            return connector
        }
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
