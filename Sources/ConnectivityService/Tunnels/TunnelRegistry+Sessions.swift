package import Cryptography
internal import HostSystem
internal import NIOCore
internal import Synchronization
internal import TunnelCore

/// Which session of a connector is in force, where several services have to agree.
extension TunnelRegistry {
    /// A connector that has tunnels here.
    package struct Presence: Sendable, Equatable {
        package var identity: ConnectorIdentity
        /// As `PeerDirectory.Entry` has it.
        package var session: String
    }

    /// All that have. Connectors side by side stand there together, and each by itself, since a later session of one instance takes the
    /// place of an earlier one everywhere.
    package var presences: [Presence] {
        allGroups().flatMap { group -> [Presence] in
            let replicas = group.details.withLock { $0.replicas.map(\.replica) }
            guard let last = replicas.last, group.count > 0 else { return [] }
            let each = replicas.compactMap { replica in
                replica.instance.map { instance in
                    Presence(identity: group.identity.standing(instance), session: replica.session ?? "")
                }
            }
            return [Presence(identity: group.identity, session: Self.key(last))] + each
        }
    }

    /// How many tunnels of a connector are here with one of some certificates.
    package func tunnels(of identity: ConnectorIdentity, with serials: Set<String>) -> Int {
        group(identity)?.all().count { serials.contains($0.serial) } ?? 0
    }

    /// Of connectors side by side none takes another's place.
    private static func key(_ replica: Replica) -> String {
        replica.instance == nil ? replica.session ?? "" : ""
    }

    /// Whether another session is in force at another service.
    ///
    /// - Parameter instance: of one that serves beside others; what these are is no matter then.
    func isElsewhere(_ identity: ConnectorIdentity, _ instance: InstanceName?, than session: String) -> Bool {
        let inForce = directory.inForce(identity).map(\.session)
        guard let instance else { return inForce.map { $0 != session } ?? false }
        // One that shares with nobody, or one of the same instance.
        if let inForce, !inForce.isEmpty, inForce != session { return true }
        return directory.inForce(identity.standing(instance)).map { $0.session != session } ?? false
    }

    /// Another service has a later session of a connector: an earlier one ends here, too, and stays away while the other is there.
    package func supersede(_ identity: ConnectorIdentity, _ earlier: String, by session: String) {
        let (connector, instance) = identity.standingFor
        guard let group = group(connector) else { return }
        let old = group.details.withLock { details in
            let old = group.all().map { ($0, $0.replica) }.filter { _, replica in
                instance.map { replica.instance?.text == $0 && replica.session == earlier }
                    ?? (Self.key(replica) == earlier)
            }.map(\.0)
            let sessions = Set(old.compactMap(\.replica.session))
            details.superseded.removeAll { $0 == session || sessions.contains($0) }
            details.superseded = (details.superseded + sessions).suffix(Self.supersededLimit)
            return old
        }
        for tunnel in old {
            remove(tunnel, of: group, now: WallClock.seconds())
            tunnel.drain(TunnelError.superseded.rawValue, limit: .seconds(30))
        }
    }
}

extension ConnectorIdentity {
    /// No location ID contains it.
    private static let separator: Character = "\t"

    /// As what one of several connectors side by side stands in the directory, beside what they are together. Earlier versions take it
    /// for a location ID that nobody asks for.
    func standing(_ instance: InstanceName) -> ConnectorIdentity {
        ConnectorIdentity(subaccount: subaccount, locationID: "\(locationID)\(Self.separator)\(instance.text)")
    }

    /// The connector and the name of the instance; nil for what is no instance.
    var standingFor: (connector: ConnectorIdentity, instance: String?) {
        let parts = locationID.split(separator: Self.separator, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return (self, nil) }
        return (ConnectorIdentity(subaccount: subaccount, locationID: String(parts[0])), String(parts[1]))
    }
}
