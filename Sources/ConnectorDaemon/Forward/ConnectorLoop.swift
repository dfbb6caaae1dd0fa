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
    private var idle: [ObjectIdentifier: [UpstreamConnection]] = [:]
    private var pinCounter: UInt64 = .random(in: 0 ... .max)

    init(
        _ eventLoop: any EventLoop, policy: AccessPolicy, backendTLS: TLSContext,
        configuration: ForwardingConfiguration, logger: Logger
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
        let key = ObjectIdentifier(permit.system)
        while let connection = idle[key]?.popLast() {
            if connection.isReusable { return connection }
        }
        return nil
    }

    /// - Returns: whether there was room.
    func keep(_ connection: UpstreamConnection) -> Bool {
        let key = ObjectIdentifier(connection.system)
        guard idle[key, default: []].count < configuration.poolSize else { return false }
        idle[key, default: []].append(connection)
        return true
    }

    func forget(_ connection: UpstreamConnection) {
        if let pin = connection.pin { pinned[pin] = nil }
        let key = ObjectIdentifier(connection.system)
        guard let index = idle[key]?.firstIndex(where: { $0 === connection }) else { return }
        idle[key]!.remove(at: index)
        if idle[key]!.isEmpty { idle[key] = nil }
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
