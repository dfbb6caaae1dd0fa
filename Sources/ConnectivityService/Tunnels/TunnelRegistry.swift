package import ControlProtocol
internal import NIOCore
internal import Synchronization
package import TunnelCore

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
    /// How many superseded sessions of a connector are remembered.
    private static let supersededLimit = 64

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
            let group = TunnelGroup(identity: identity)
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
                if details.hello?.session != hello.session { details.systems = [] }
            }
            details.hello = hello
            details.remote = remote
            details.certificateExpires = certificate.notAfter
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

    func all() -> [RegisteredTunnel] { groups.withLock { $0.values.flatMap { $0.all() } } }

    package func allGroups() -> [TunnelGroup] {
        groups.withLock { Array($0.values) }.sorted {
            ($0.identity.subaccount, $0.identity.locationID) < ($1.identity.subaccount, $1.identity.locationID)
        }
    }

    /// Every connector that has been here since the service started.
    package func status() -> [ServiceStatus.Connector] {
        allGroups().map { group in
            let details = group.details.withLock { $0 }
            let tunnels = group.count
            return ServiceStatus.Connector(
                subaccount: group.identity.subaccount,
                locationID: group.identity.locationID,
                state: tunnels > 0 ? "Connected" : "Disconnected",
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
                    ? details.systems
                    : details.systems.map { system in
                        var system = system
                        system.availability = "unchecked"
                        return system
                    }
            )
        }
    }
}
