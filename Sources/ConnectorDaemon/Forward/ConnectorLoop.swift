internal import AccessPolicy
internal import Logging
internal import NIOCore
internal import TunnelCore

/// What all streams of one event loop share. Used on that loop only.
final class ConnectorLoop {
    let eventLoop: any EventLoop
    let configuration: ForwardingConfiguration
    let logger: Logger
    let sweeper = DeadlineSweeper()
    /// For response heads on their way into the tunnel.
    let fields = FieldBlock(capacity: 8192, fields: 128)
    /// The snapshot that new requests begin with.
    var policy: AccessPolicy
    var backendTLS: TLSContext
    var requestIDs = RequestIDGenerator()
    var pinned: [String: UpstreamConnection] = [:]
    private var pools: [ObjectIdentifier: UpstreamPool] = [:]
    private var lastPool: UpstreamPool?
    private var pinCounter: UInt64 = .random(in: 0 ... .max)

    init(
        _ eventLoop: any EventLoop,
        policy: AccessPolicy,
        backendTLS: TLSContext,
        configuration: ForwardingConfiguration,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.policy = policy
        self.backendTLS = backendTLS
        self.configuration = configuration
        self.logger = logger
    }

    // MARK: Connections to internal hosts

    /// An unused connection to the permit's system, the one used last first.
    func idleConnection(_ permit: Permit) -> UpstreamConnection? {
        let pool = pool(permit.system)
        while let connection = pool.idle.popLast() {
            if connection.isReusable { return connection }
        }
        return nil
    }

    /// - Returns: whether there was room.
    func keep(_ connection: UpstreamConnection) -> Bool {
        let pool = pool(connection.system)
        guard pool.idle.count < configuration.poolSize else { return false }
        pool.idle.append(connection)
        return true
    }

    func forget(_ connection: UpstreamConnection) {
        if let pin = connection.pin { pinned[pin] = nil }
        let pool = pool(connection.system)
        if let index = pool.idle.firstIndex(where: { $0 === connection }) { pool.idle.remove(at: index) }
        guard pool.idle.isEmpty else { return }
        pools[ObjectIdentifier(connection.system)] = nil
        if lastPool === pool { lastPool = nil }
    }

    private func pool(_ system: SystemMapping) -> UpstreamPool {
        if let lastPool, lastPool.system === system { return lastPool }
        let key = ObjectIdentifier(system)
        let pool = pools[key] ?? UpstreamPool(system)
        pools[key] = pool
        lastPool = pool
        return pool
    }

    /// Binds a connection to one client: from now on it answers only requests that carry the pin.
    ///
    /// - Returns: the pin, which nobody can guess; nil where there are too many.
    func pin(_ connection: UpstreamConnection) -> String? {
        if let pin = connection.pin { return pin }
        guard pinned.count < configuration.maxPinned else { return nil }
        pinCounter &+= 1
        let pin = String(pinCounter, radix: 36) + "-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        connection.pin = pin
        pinned[pin] = connection
        return pin
    }
}

/// Unused connections to one system, on one event loop.
private final class UpstreamPool {
    let system: SystemMapping
    var idle: [UpstreamConnection] = []

    init(_ system: SystemMapping) { self.system = system }
}
