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

    /// All that have.
    package var presences: [Presence] {
        allGroups().compactMap { group in
            guard let last = group.details.withLock({ $0.replicas.last?.replica }), group.count > 0 else { return nil }
            return Presence(identity: group.identity, session: Self.key(last))
        }
    }

    /// Of connectors side by side none takes another's place.
    private static func key(_ replica: Replica) -> String {
        replica.instance == nil ? replica.session ?? "" : ""
    }

    /// Whether another session is in force at another service.
    func isElsewhere(_ identity: ConnectorIdentity, than session: String) -> Bool {
        guard let inForce = directory.inForce(identity) else { return false }
        return inForce.session != session
    }

    /// Another service has a later session of a connector: an earlier one ends here, too, and stays away while the other is there.
    package func supersede(_ identity: ConnectorIdentity, _ earlier: String, by session: String) {
        guard let group = group(identity) else { return }
        let old = group.details.withLock { details in
            let old = group.all().filter { Self.key($0.replica) == earlier }
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
