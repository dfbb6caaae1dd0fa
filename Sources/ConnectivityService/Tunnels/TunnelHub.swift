package import ControlProtocol
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Telemetry
package import TunnelCore

/// What all accepted tunnels share.
final class TunnelHub: Sendable {
    let registry: TunnelRegistry
    let authority: any CertificateAuthority
    let audit: AuditLog
    let logger: Logger
    /// Exposed systems that one connector may tell of.
    let systemLimit = 100_000
    private let roundTrips = Mutex(Histogram())
    private let current: Mutex<(tls: TLSContext, configuration: ServiceConfiguration)>

    init(
        registry: TunnelRegistry,
        authority: any CertificateAuthority,
        audit: AuditLog,
        logger: Logger,
        tls: TLSContext,
        configuration: ServiceConfiguration
    ) {
        self.registry = registry
        self.authority = authority
        self.audit = audit
        self.logger = logger
        current = Mutex((tls, configuration))
    }

    /// What the next tunnel is accepted with.
    var settings: (tls: TLSContext, configuration: ServiceConfiguration) { current.withLock { $0 } }

    func apply(_ tls: TLSContext, _ configuration: ServiceConfiguration) {
        current.withLock { $0 = (tls, configuration) }
    }

    /// How long requests on a superseded tunnel may go on.
    var drainLimit: TimeAmount { settings.configuration.times.drain }

    func roundTrip(_ time: TimeAmount) { roundTrips.withLock { $0.record(time.nanoseconds) } }
    var roundTripHistogram: Histogram { roundTrips.withLock { $0 } }
}

/// Who answers for connectors' certificates.
package protocol CertificateAuthority: Sendable {
    /// - Parameter serial: upper-case hexadecimal.
    func isRevoked(_ serial: String) -> Bool
    /// A new certificate for a connector that has proved who it is with its present one.
    ///
    /// - Parameter request: PKCS #10, PEM.
    func renew(_ request: String, for identity: ConnectorIdentity) throws -> String
    /// Answers a connector that has nothing but a one-time token.
    func enrol(_ request: EnrolmentRequest) throws -> EnrolmentResponse
}
