internal import AdminProtocol
internal import ControlProtocol
internal import Cryptography
internal import Synchronization
internal import TunnelCore

/// One process of a connector, with all of its tunnels. Several of one identity serve side by side where each says so, and is named
/// by a certificate of its own.
final class Replica: Sendable {
    /// Nil for a peer without a control stream.
    let session: String?
    /// Nil for one that shares with nobody.
    let instance: InstanceName?
    private let places = Atomic<Int>(0)
    private let leftOut = Atomic<Bool>(false)

    init(session: String?, instance: InstanceName?) {
        (self.session, self.instance) = (session, instance)
    }

    /// Requests and connections that were given to it and are not over, on all event loops.
    var inFlight: Int { places.load(ordering: .relaxed) }
    /// Requests pass it over, because its configuration is not that of the others.
    var isLeftOut: Bool { leftOut.load(ordering: .relaxed) }
    func leaveOut(_ isLeftOut: Bool) { leftOut.store(isLeftOut, ordering: .relaxed) }

    /// Whether both may serve at the same time.
    func isBeside(_ other: InstanceName?) -> Bool {
        guard let instance, let other else { return false }
        return instance != other
    }

    /// A place for one request or connection, until it is let go of. Only where there is a choice it is worth counting.
    final class Place {
        private let replica: Replica

        init?(_ replica: Replica) {
            guard replica.instance != nil else { return nil }
            self.replica = replica
            replica.places.wrappingAdd(1, ordering: .relaxed)
        }

        deinit { replica.places.wrappingAdd(-1, ordering: .relaxed) }
    }
}

/// What is known of a replica beyond its tunnels.
struct ReplicaFacts: Sendable {
    let replica: Replica
    var hello: ControlMessage.Hello?
    var dialect = TunnelDialect.standard
    var remote = ""
    var connectedSince: Int?
    var certificateExpires: Int?
    var systems = ExposedSystems()
    /// Tells whether two replicas offer the same; nil where it was not said.
    var configuration: String?

    func status(tunnels: Int) -> ServiceStatus.Replica? {
        guard let instance = replica.instance else { return nil }
        return ServiceStatus.Replica(
            instance: instance.text,
            tunnels: tunnels,
            remote: remote,
            version: hello?.version ?? "",
            connectedSince: connectedSince,
            certificateExpires: certificateExpires,
            configuration: configuration ?? "",
            isLeftOut: replica.isLeftOut
        )
    }
}

/// What several replicas say, as one.
enum ReplicaUnion {
    /// Each system once, in the order of the first that has it. One that not all have, or not all reach, is degraded.
    static func systems(_ lists: [[ExposedSystem]]) -> [ExposedSystem] {
        guard lists.count > 1 else { return lists.first ?? [] }
        var order: [String] = []
        var found: [String: [ExposedSystem]] = [:]
        for system in lists.joined() {
            if found[system.host] == nil { order.append(system.host) }
            found[system.host, default: []].append(system)
        }
        return order.compactMap { host in found[host].flatMap { merge($0, of: lists.count) } }
    }

    private static func merge(_ entries: [ExposedSystem], of count: Int) -> ExposedSystem? {
        guard var system = entries.first else { return nil }
        system.hasResources = entries.contains(where: \.hasResources)
        let reaching = entries.count { $0.availability == "reachable" }
        let failing = entries.first { $0.availability.hasPrefix("not reachable") }
        if reaching > 0, failing != nil || entries.count < count {
            system.availability = "degraded: reachable through \(reaching) of \(count) connectors"
        } else if reaching > 0 {
            system.availability = "reachable"
        } else if let failing {
            system.availability = failing.availability
        }
        return system
    }

    /// Which replicas are not of the configuration that most have; of several such, that of the one that came first counts.
    static func odd(_ replicas: [(configuration: String?, since: Int?)]) -> [Bool] {
        var counts: [String: Int] = [:]
        for replica in replicas {
            if let configuration = replica.configuration { counts[configuration, default: 0] += 1 }
        }
        let most = counts.values.max() ?? 0
        let leading = replicas.filter { $0.configuration.map { counts[$0] == most } ?? false }
            .min { ($0.since ?? .max) < ($1.since ?? .max) }?.configuration
        return replicas.map { $0.configuration != nil && $0.configuration != leading }
    }
}
