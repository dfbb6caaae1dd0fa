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
    private let leavesOut = Atomic<Bool>(false)
    /// How many superseded sessions of a connector are remembered.
    static let supersededLimit = 64
    /// Seconds for which the systems of a connector that is away are remembered.
    static let memory = 3600
    /// Systems of one connector that a status lists.
    package static let listedSystems = 1000

    /// What the other services of the store have.
    let directory: PeerDirectory
    private let changes = Atomic<Int>(0)

    package init(_ directory: PeerDirectory = PeerDirectory()) { self.directory = directory }

    /// Changes with every tunnel that comes or goes.
    package var version: Int { changes.load(ordering: .acquiring) }

    /// The group of a connector, whether or not it is connected.
    ///
    /// Clients name location IDs at will, so a group is only made for a connector with a certificate: one that is here, or at another
    /// service.
    package func group(_ identity: ConnectorIdentity) -> TunnelGroup? {
        if let group = groups.withLock({ $0[identity] }) { return group }
        return directory.services(with: identity).isEmpty ? nil : makeGroup(identity)
    }

    private func makeGroup(_ identity: ConnectorIdentity) -> TunnelGroup {
        groups.withLock { groups in
            if let group = groups[identity] { return group }
            // Connectors of one subaccount count together.
            let usage = groups.first { $0.key.subaccount == identity.subaccount }?.value.usage ?? TenantUsage()
            let group = TunnelGroup(identity: identity, usage: usage)
            groups[identity] = group
            return group
        }
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
        let group = makeGroup(identity)
        let serves = hello?.isActive == true ? certificate.instance : nil
        var old: [RegisteredTunnel] = []
        // One after the other, tunnels and what is known of them together: two that come at once see each other.
        let tunnel: RegisteredTunnel? = group.details.withLock { details in
            let present = group.all()
            if let hello {
                let others = present.filter { $0.replica.session != hello.session && !$0.replica.isBeside(serves) }
                if others.contains(where: { $0.replica.session != nil }) {
                    guard !details.superseded.contains(hello.session) else { return nil }
                    old = others
                    let sessions = Set(old.compactMap(\.replica.session))
                    details.superseded = (details.superseded + sessions).suffix(Self.supersededLimit)
                } else if details.superseded.contains(hello.session), isElsewhere(identity, serves, than: hello.session)
                {
                    // Its successor has no tunnel here, and serves through another service.
                    return nil
                } else {
                    details.superseded.removeAll { $0 == hello.session }
                }
            }
            details.disconnectedSince = nil
            details.isRevoked = false
            let staying = present.filter { tunnel in !old.contains { $0 === tunnel } }
            var facts = take(&details, hello, serves, staying, identity)
            facts.dialect = handler.dialect
            facts.remote = remote
            facts.certificateExpires = certificate.notAfter
            if !staying.contains(where: { $0.replica === facts.replica }) { facts.connectedSince = now }
            details.replicas.append(facts)
            judge(&details)
            let tunnel = RegisteredTunnel(
                id: lastID.wrappingAdd(1, ordering: .relaxed).newValue,
                replica: facts.replica,
                serial: certificate.serial,
                handler
            )
            group.add(tunnel)
            for tunnel in old { group.remove(tunnel.id) }
            return tunnel
        }
        guard let tunnel else { return .superseded }
        changes.wrappingAdd(1, ordering: .releasing)
        return .registered(group, tunnel, superseded: old)
    }

    /// What is known of the process that says hello, taken out of the details. Those without tunnels are forgotten.
    private func take(
        _ details: inout TunnelGroup.Details,
        _ hello: ControlMessage.Hello?,
        _ instance: InstanceName?,
        _ staying: [RegisteredTunnel],
        _ identity: ConnectorIdentity
    ) -> ReplicaFacts {
        var own: ReplicaFacts?
        for place in details.replicas.indices.reversed() {
            let replica = details.replicas[place].replica
            if replica.session == hello?.session, replica.instance == instance {
                own = details.replicas.remove(at: place)
            } else if !staying.contains(where: { $0.replica === replica }) {
                forgetSystems(&details.replicas[place], identity)
                details.replicas.remove(at: place)
            }
        }
        var facts = own ?? ReplicaFacts(replica: Replica(session: hello?.session, instance: instance))
        facts.hello = hello
        facts.configuration = hello?.configuration ?? facts.configuration
        return facts
    }

    /// Whether one that is not configured like the others is passed over.
    package func leaveOutOthers(_ isLeftOut: Bool) {
        guard leavesOut.exchange(isLeftOut, ordering: .relaxed) != isLeftOut else { return }
        for group in allGroups() { group.details.withLock { judge(&$0) } }
    }

    private func judge(_ details: inout TunnelGroup.Details) {
        let isStrict = leavesOut.load(ordering: .relaxed)
        let odd = ReplicaUnion.odd(details.replicas.map { ($0.configuration, $0.connectedSince) })
        for (facts, isOdd) in zip(details.replicas, odd) { facts.replica.leaveOut(isStrict && isOdd) }
    }

    /// A tunnel is used no more.
    func remove(_ tunnel: RegisteredTunnel, of group: TunnelGroup, now: Int) {
        let isLast = group.remove(tunnel.id)
        defer { changes.wrappingAdd(1, ordering: .releasing) }
        group.details.withLock { details in
            if isLast, group.count == 0 { return details.disconnectedSince = now }
            // Another one of its process may be there, or another process.
            guard !group.all().contains(where: { $0.replica === tunnel.replica }), details.replicas.count > 1,
                let place = details.place(of: tunnel.replica)
            else { return }
            forgetSystems(&details.replicas[place], group.identity)
            details.replicas.remove(at: place)
            judge(&details)
        }
    }

    // MARK: Exposed systems

    func forgetSystems(_ facts: inout ReplicaFacts, _ identity: ConnectorIdentity) {
        let count = facts.systems.list.count
        systems.withLock { $0.add(-count, identity.subaccount) }
        facts.systems.removeAll()
    }

    /// Remembers a part of a list, as far as the limits go.
    func keep(
        _ exposed: ControlMessage.Exposed,
        of group: TunnelGroup,
        _ replica: Replica,
        _ limits: ExposedSystemLimits
    ) {
        let subaccount = group.identity.subaccount
        group.details.withLock { details in
            guard let place = details.place(of: replica) else { return }
            if exposed.isFirst { forgetSystems(&details.replicas[place], group.identity) }
            systems.withLock { counts in
                let room = counts.room(subaccount, own: details.replicas[place].systems.list.count, limits)
                counts.add(details.replicas[place].systems.append(exposed.systems, room: room), subaccount)
            }
            guard let configuration = exposed.configuration?.bounded(64) else { return }
            details.replicas[place].configuration = configuration
            judge(&details)
        }
    }

    /// Changes the availability of systems that are known.
    func apply(_ changes: [ControlMessage.AvailabilityChange], of group: TunnelGroup, _ replica: Replica) {
        group.details.withLock { details in
            if let place = details.place(of: replica) { details.replicas[place].systems.apply(changes) }
        }
    }

    func all() -> [RegisteredTunnel] { groups.withLock { $0.values.flatMap { $0.all() } } }

    /// Every connector that has been here, by subaccount and location ID.
    package func allGroups() -> [TunnelGroup] {
        groups.withLock { Array($0.values) }.sorted {
            ($0.identity.subaccount, $0.identity.locationID) < ($1.identity.subaccount, $1.identity.locationID)
        }
    }
}
