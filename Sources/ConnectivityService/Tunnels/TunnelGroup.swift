internal import ControlProtocol
package import Cryptography
package import NIOCore
internal import Synchronization
internal import TunnelCore

/// One connected tunnel, as seen from any event loop.
package final class RegisteredTunnel: Sendable {
    package let id: Int
    package let eventLoop: any EventLoop
    /// The connector's process that dialled it.
    let replica: Replica
    /// Of the connector's certificate, upper-case hexadecimal.
    let serial: String
    let dialect: TunnelDialect
    /// Of the other service that it leads to; nil for a connector's tunnel.
    let peer: String?
    let handler: NIOLoopBound<TunnelHandler>

    init(id: Int, replica: Replica, serial: String, _ handler: TunnelHandler, peer: String? = nil) {
        self.peer = peer
        self.id = id
        self.replica = replica
        self.serial = serial
        self.dialect = handler.dialect
        self.eventLoop = handler.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: handler.eventLoop)
    }

    /// Asks the connector to take it away; after `limit` it is cut.
    func drain(_ reason: String, limit: TimeAmount) {
        let handler = self.handler
        eventLoop.execute { handler.value.drain(reason, limit: limit) }
    }

    /// Cuts it and all requests on it.
    func cut(_ reason: any Error & Sendable) {
        let handler = self.handler
        eventLoop.execute { handler.value.dismiss(reason) }
    }
}

/// All tunnels of one connector: those of one subaccount and location ID, from one process or, side by side, from several.
///
/// The order of tunnels says which came first; requests prefer a tunnel on their own event loop and fall back to one on
/// another, so no request fails because of where its connection landed.
package final class TunnelGroup: Sendable {
    /// What is known of a connector beyond its tunnels.
    struct Details: Sendable {
        /// Those that have tunnels; of a connector that is away, the last one.
        var replicas: [ReplicaFacts] = []
        var disconnectedSince: Int?
        /// Of the last tunnel.
        var isRevoked = false
        /// Sessions that a later one has taken the place of, the last ones.
        var superseded: [String] = []

        func place(of replica: Replica) -> Int? { replicas.firstIndex { $0.replica === replica } }
    }

    private struct Tunnels {
        var all: [RegisteredTunnel] = []
        /// That have at least one, each once.
        var replicas: [Replica] = []
    }

    package let identity: ConnectorIdentity
    let usage: TenantUsage
    let details = Mutex(Details())
    private let tunnels = Mutex(Tunnels())
    private let turn = Atomic<Int>(0)
    /// Changes with every tunnel that comes or goes, so that a client connection may remember its choice.
    private let changes = Atomic<Int>(0)

    var version: Int { changes.load(ordering: .acquiring) }

    init(identity: ConnectorIdentity, usage: TenantUsage) {
        self.identity = identity
        self.usage = usage
    }

    package var count: Int { tunnels.withLock { $0.all.count } }

    func add(_ tunnel: RegisteredTunnel) {
        tunnels.withLock { tunnels in
            tunnels.all.append(tunnel)
            if !tunnels.replicas.contains(where: { $0 === tunnel.replica }) { tunnels.replicas.append(tunnel.replica) }
        }
        changes.wrappingAdd(1, ordering: .releasing)
    }

    /// - Returns: whether it was the last one.
    @discardableResult
    func remove(_ id: Int) -> Bool {
        let isLast = tunnels.withLock { tunnels in
            tunnels.all.removeAll { $0.id == id }
            let all = tunnels.all
            tunnels.replicas.removeAll { replica in !all.contains { $0.replica === replica } }
            return all.isEmpty
        }
        changes.wrappingAdd(1, ordering: .releasing)
        return isLast
    }

    /// The tunnel on `eventLoop` if there is exactly one, and no other connector beside this: then there is nothing to choose.
    func only(on eventLoop: any EventLoop) -> RegisteredTunnel? {
        tunnels.withLock { tunnels in
            guard tunnels.replicas.count == 1 else { return nil }
            let local = tunnels.all.filter { $0.eventLoop === eventLoop }
            return local.count == 1 ? local[0] : nil
        }
    }

    func contains(_ id: Int) -> Bool { tunnels.withLock { $0.all.contains { $0.id == id } } }

    func all() -> [RegisteredTunnel] { tunnels.withLock { $0.all } }

    // MARK: Choosing

    /// The tunnel for a request that is handled on `eventLoop`.
    ///
    /// - Parameter excluded: tunnels that have just refused it.
    func pick(on eventLoop: any EventLoop, excluding excluded: [Int] = []) -> RegisteredTunnel? {
        tunnels.withLock { tunnels in
            guard tunnels.replicas.count > 1 else { return pick(among: tunnels.all, eventLoop, excluded) }
            var replicas = tunnels.replicas.filter { !$0.isLeftOut }
            while !replicas.isEmpty {
                let place = choose(replicas)
                let replica = replicas.remove(at: place)
                let own = tunnels.all.filter { $0.replica === replica }
                if let tunnel = pick(among: own, eventLoop, excluded) { return tunnel }
            }
            return nil
        }
    }

    /// Of two that chance takes, the one with the fewest requests in flight: nearly as good as looking at all, and no herd runs to the
    /// one that was the emptiest a moment ago.
    private func choose(_ replicas: [Replica]) -> Int {
        guard replicas.count > 1 else { return 0 }
        let chance = Self.scattered(turn.wrappingAdd(1, ordering: .relaxed).newValue)
        let first = Int(chance % UInt64(replicas.count))
        let other = (first + 1 + Int((chance >> 32) % UInt64(replicas.count - 1))) % replicas.count
        return replicas[other].inFlight < replicas[first].inFlight ? other : first
    }

    /// A number that looks like chance (splitmix64), without asking the kernel for it.
    private static func scattered(_ number: Int) -> UInt64 {
        var value = UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    private func pick(
        among tunnels: [RegisteredTunnel],
        _ eventLoop: any EventLoop,
        _ excluded: [Int]
    ) -> RegisteredTunnel? {
        var best: RegisteredTunnel?
        var bestLoad = Int.max
        var elsewhere = 0
        for tunnel in tunnels where !excluded.contains(tunnel.id) {
            guard tunnel.eventLoop === eventLoop else {
                elsewhere += 1
                continue
            }
            let handler = tunnel.handler.value
            guard handler.isUsable else { continue }
            let load = handler.session.streamCount
            if load < bestLoad { (best, bestLoad) = (tunnel, load) }
        }
        if best != nil || elsewhere == 0 { return best }
        var skip = turn.wrappingAdd(1, ordering: .relaxed).newValue % elsewhere
        if skip < 0 { skip += elsewhere }
        for tunnel in tunnels where !excluded.contains(tunnel.id) && tunnel.eventLoop !== eventLoop {
            if skip == 0 { return tunnel }
            skip -= 1
        }
        return nil
    }
}
