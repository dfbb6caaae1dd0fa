internal import ControlProtocol
package import Cryptography
package import NIOCore
internal import Synchronization
internal import TunnelCore

/// One connected tunnel, as seen from any event loop.
package final class RegisteredTunnel: Sendable {
    package let id: Int
    package let eventLoop: any EventLoop
    /// The connector's process that dialled it; nil for a peer without a control stream.
    let session: String?
    /// Of the connector's certificate, upper-case hexadecimal.
    let serial: String
    let dialect: TunnelDialect
    let handler: NIOLoopBound<TunnelHandler>

    init(id: Int, session: String?, serial: String, _ handler: TunnelHandler) {
        self.id = id
        self.session = session
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

/// All tunnels of one connector: those of one subaccount and location ID.
///
/// The order of tunnels says which came first; requests prefer a tunnel on their own event loop and fall back to one on
/// another, so no request fails because of where its connection landed.
package final class TunnelGroup: Sendable {
    /// What is known of a connector beyond its tunnels.
    struct Details: Sendable {
        var hello: ControlMessage.Hello?
        var dialect = TunnelDialect.standard
        var remote = ""
        var systems = ExposedSystems()
        var connectedSince: Int?
        var disconnectedSince: Int?
        var certificateExpires: Int?
        /// Of the last tunnel.
        var isRevoked = false
        /// Sessions that a later one has taken the place of, the last ones.
        var superseded: [String] = []
    }

    package let identity: ConnectorIdentity
    let usage: TenantUsage
    let details = Mutex(Details())
    private let tunnels = Mutex<[RegisteredTunnel]>([])
    private let turn = Atomic<Int>(0)
    /// Changes with every tunnel that comes or goes, so that a client connection may remember its choice.
    private let changes = Atomic<Int>(0)

    var version: Int { changes.load(ordering: .acquiring) }

    init(identity: ConnectorIdentity, usage: TenantUsage) {
        self.identity = identity
        self.usage = usage
    }

    package var count: Int { tunnels.withLock { $0.count } }

    func add(_ tunnel: RegisteredTunnel) {
        tunnels.withLock { $0.append(tunnel) }
        changes.wrappingAdd(1, ordering: .releasing)
    }

    /// - Returns: whether it was the last one.
    @discardableResult
    func remove(_ id: Int) -> Bool {
        let isLast = tunnels.withLock { tunnels in
            tunnels.removeAll { $0.id == id }
            return tunnels.isEmpty
        }
        changes.wrappingAdd(1, ordering: .releasing)
        return isLast
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
