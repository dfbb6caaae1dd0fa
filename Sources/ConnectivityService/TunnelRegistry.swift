package import NIOCore
internal import Synchronization
package import TunnelCore

/// One connected tunnel, as seen from any event loop.
package final class RegisteredTunnel: Sendable {
    package let id: Int
    package let eventLoop: any EventLoop
    let handler: NIOLoopBound<TunnelHandler>

    init(id: Int, _ handler: TunnelHandler) {
        self.id = id
        self.eventLoop = handler.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: handler.eventLoop)
    }
}

/// All tunnels of one connector: those of one subaccount and location ID.
///
/// The order of tunnels says which came first; requests prefer a tunnel on their own event loop and fall back to one on
/// another, so no request fails because of where its connection landed.
package final class TunnelGroup: Sendable {
    package let identity: ConnectorIdentity
    private let tunnels = Mutex<[RegisteredTunnel]>([])
    private let turn = Atomic<Int>(0)
    /// Changes with every tunnel that comes or goes, so that a client connection may remember its choice.
    private let changes = Atomic<Int>(0)

    var version: Int { changes.load(ordering: .acquiring) }

    init(identity: ConnectorIdentity) { self.identity = identity }

    package var count: Int { tunnels.withLock { $0.count } }

    func add(_ tunnel: RegisteredTunnel) {
        tunnels.withLock { $0.append(tunnel) }
        changes.wrappingAdd(1, ordering: .releasing)
    }

    func remove(_ id: Int) {
        tunnels.withLock { $0.removeAll { $0.id == id } }
        changes.wrappingAdd(1, ordering: .releasing)
    }

    /// The tunnel on `eventLoop` if there is exactly one: then there is nothing to choose.
    func only(on eventLoop: any EventLoop) -> RegisteredTunnel? {
        tunnels.withLock { tunnels in
            let local = tunnels.filter { $0.eventLoop === eventLoop }
            return local.count == 1 ? local[0] : nil
        }
    }

    func contains(_ id: Int) -> Bool { tunnels.withLock { $0.contains { $0.id == id } } }

    func all() -> [RegisteredTunnel] { tunnels.withLock { $0 } }

    /// The tunnel for a request that is handled on `eventLoop`.
    ///
    /// - Parameter excluded: tunnels that have just refused it.
    func pick(on eventLoop: any EventLoop, excluding excluded: [Int] = []) -> RegisteredTunnel? {
        tunnels.withLock { tunnels in
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
}

/// Which connectors are here.
package final class TunnelRegistry: Sendable {
    private let groups = Mutex<[ConnectorIdentity: TunnelGroup]>([:])
    private let lastID = Atomic<Int>(0)

    package init() {}

    /// The group of a connector, whether or not it is connected.
    ///
    /// Clients name location IDs at will, so a group is only made for a connector with a certificate.
    package func group(_ identity: ConnectorIdentity) -> TunnelGroup? {
        groups.withLock { $0[identity] }
    }

    func register(_ handler: TunnelHandler, as identity: ConnectorIdentity) -> (TunnelGroup, RegisteredTunnel) {
        let group = groups.withLock { groups in
            if let group = groups[identity] { return group }
            let group = TunnelGroup(identity: identity)
            groups[identity] = group
            return group
        }
        let tunnel = RegisteredTunnel(id: lastID.wrappingAdd(1, ordering: .relaxed).newValue, handler)
        group.add(tunnel)
        return (group, tunnel)
    }

    func all() -> [RegisteredTunnel] { groups.withLock { $0.values.flatMap { $0.all() } } }
}
