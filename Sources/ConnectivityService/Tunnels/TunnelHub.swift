internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// What all accepted tunnels share.
final class TunnelHub: Sendable {
    let registry: TunnelRegistry
    let authority: any CertificateAuthority
    let audit: AuditLog
    let logger: Logger
    let memory: MemoryGuard
    private let roundTrips = Mutex(Histogram())
    private let current: Mutex<(tls: TLSContext, configuration: ServiceConfiguration)>
    private let places = Mutex(TunnelPlaces())
    private let throttle = Mutex(RefusalThrottle())
    private let closures = Mutex<[String: Int]>([:])
    private let refusals = Mutex(RefusedConnections())
    private let said = Mutex<(@Sendable () async -> [UInt8])?>(nil)

    init(
        registry: TunnelRegistry,
        authority: any CertificateAuthority,
        audit: AuditLog,
        logger: Logger,
        memory: MemoryGuard,
        tls: TLSContext,
        configuration: ServiceConfiguration
    ) {
        self.registry = registry
        self.authority = authority
        self.audit = audit
        self.logger = logger
        self.memory = memory
        current = Mutex((tls, configuration))
    }

    /// What the next tunnel is accepted with.
    var settings: (tls: TLSContext, configuration: ServiceConfiguration) { current.withLock { $0 } }
    /// What other services are told of this one.
    var facts: (@Sendable () async -> [UInt8])? {
        get { said.withLock { $0 } }
        set { said.withLock { $0 = newValue } }
    }
    var limits: TenantLimits { settings.configuration.tenants }

    func apply(_ tls: TLSContext, _ configuration: ServiceConfiguration) {
        current.withLock { $0 = (tls, configuration) }
    }

    /// How long requests on a superseded tunnel may go on.
    var drainLimit: TimeAmount { settings.configuration.times.drain }

    func roundTrip(_ time: TimeAmount) { roundTrips.withLock { $0.record(time.nanoseconds) } }
    var roundTripHistogram: Histogram { roundTrips.withLock { $0 } }

    // MARK: Places

    /// Takes a place for a tunnel; `leave` gives it back.
    ///
    /// - Throws: where the connector has all it may have, or was cut for a flood just now.
    func admit(_ identity: ConnectorIdentity, _ key: ObjectIdentifier) throws(TunnelError) {
        guard !memory.isShort else { throw .noMemory }
        let limit = limits.tunnelsPerConnector
        try places.withLock { (places) throws(TunnelError) in
            try places.admit(identity, key, limit: limit, now: .now())
        }
    }

    func leave(_ identity: ConnectorIdentity, _ key: ObjectIdentifier) {
        places.withLock { $0.leave(identity, key) }
    }

    /// A connector whose tunnel was closed for a flood waits before its next one.
    func punish(_ identity: ConnectorIdentity) { places.withLock { $0.punish(identity, now: .now()) } }

    // MARK: What is told of those who are refused

    /// A connection that may not be a tunnel. As many as there may be of them, the log and the audit log get ten a second, and
    /// the number of the others.
    ///
    /// - Parameter connector: of the certificate that it showed, whether or not it counts.
    func refused(
        _ message: Logger.Message,
        _ remote: String,
        _ error: any Error,
        connector: ConnectorIdentity? = nil,
        level: Logger.Level = .warning
    ) {
        if level >= .warning {
            refusals.withLock { $0.record("\(message)", remote, error, connector, now: WallClock.seconds()) }
        }
        let cause = "\(error)"
        guard let omitted = throttle.withLock({ $0.take(now: .now()) }) else { return }
        var metadata: Logger.Metadata = ["remote": "\(remote)", "cause": "\(cause)"]
        if let connector { metadata["connector"] = "\(connector)" }
        if omitted > 0 { metadata["not_logged"] = "\(omitted)" }
        logger.log(level: level, message, metadata: metadata)
        guard level >= .warning else { return }
        let whose = connector.map { " of \($0)" } ?? ""
        let more = omitted > 0 ? " (\(omitted) more were not recorded)" : ""
        audit.record(.connectionRefused, "Connection from \(remote)\(whose): \(message): \(cause)\(more)")
    }

    /// - Parameter cause: one of few.
    func countClosure(_ cause: String) { closures.withLock { $0[cause, default: 0] += 1 } }
    var closureCounts: [String: Int] { closures.withLock { $0 } }
    var refusedConnections: RefusedConnections { refusals.withLock { $0 } }
}

/// Which connector has how many tunnels, those that are on their way in or out included.
struct TunnelPlaces {
    private var live: [ConnectorIdentity: Set<ObjectIdentifier>] = [:]
    private var punished: [ConnectorIdentity: NIODeadline] = [:]

    /// Between a flood and the next tunnel of the same connector.
    static let punishment = TimeAmount.seconds(10)
    /// Connectors remembered for a flood; there are no more than certificates.
    private static let rememberedLimit = 10_000

    mutating func admit(
        _ identity: ConnectorIdentity,
        _ key: ObjectIdentifier,
        limit: Int,
        now: NIODeadline
    ) throws(TunnelError) {
        if let until = punished[identity] {
            guard until <= now else { throw .flooded }
            punished[identity] = nil
        }
        guard live[identity, default: []].count < limit else { throw .tooManyTunnels }
        live[identity, default: []].insert(key)
    }

    mutating func leave(_ identity: ConnectorIdentity, _ key: ObjectIdentifier) {
        guard var own = live[identity] else { return }
        own.remove(key)
        live[identity] = own.isEmpty ? nil : own
    }

    mutating func punish(_ identity: ConnectorIdentity, now: NIODeadline) {
        if punished.count >= Self.rememberedLimit { punished = punished.filter { $0.value > now } }
        punished[identity] = now + Self.punishment
    }
}

/// Lets ten a second through and counts the others.
struct RefusalThrottle {
    static let perSecond = 10

    private var second = NIODeadline.uptimeNanoseconds(0)
    private var taken = 0
    private var omitted = 0

    /// - Returns: how many were left out before this one; nil where this one is.
    mutating func take(now: NIODeadline) -> Int? {
        if now - second >= .seconds(1) {
            second = now
            taken = 0
        }
        guard taken < Self.perSecond else {
            omitted += 1
            return nil
        }
        taken += 1
        defer { omitted = 0 }
        return omitted
    }
}
