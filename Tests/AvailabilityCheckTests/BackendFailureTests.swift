import AccessPolicy
import Cryptography
import NIOCore
import Testing
import TextFormats

@testable import AvailabilityCheck

/// Why an internal host cannot be reached: once, in the same words for everybody.
struct BackendFailureTests {
    private static let target = AvailabilityTarget(
        SystemMapping(
            virtualHost: "a",
            virtualPort: 1,
            internalHost: "secret.inner",
            internalPort: 8443,
            protocol: .https,
            resources: []
        )
    )

    private static func failure(_ error: any Error) -> BackendFailure { BackendFailure(error, target) }

    @Test(
        "Each failure of TLS has its token, and advice that fits it",
        arguments: [
            (TLSError.Code.peerCertificate, "tls_certificate_error", "backend-trust.certificates"),
            (.peerCertificateTime, "tls_certificate_error", "renew"),
            (.peerName, "tls_certificate_error", "internal-host"),
            (.peerCertificateWeak, "tls_certificate_error", "SECLEVEL"),
            (.clientCertificateRequired, "tls_alert_received", "without"),
            (.nothingInCommon, "tls_alert_received", "minimum-tls"), (.notTLS, "tls_protocol_error", "HTTP or TCP"),
            (.handshakeTimeout, "connection_timeout", "HTTP or TCP"),
            (.closedDuringHandshake, "tls_protocol_error", "HTTP or TCP"),
        ]
    )
    func tls(_ code: TLSError.Code, _ token: String, _ advice: String) {
        let failure = Self.failure(TLSError(code, "cause", detail: "CN=secret.inner"))
        #expect(failure.error == token && "\(failure.token)" == token && failure.phase == .tls)
        #expect(failure.advice.contains(advice), "\(failure.advice)")
    }

    @Test("Names of the inside are for whoever runs the connector, and for nobody else")
    func names() {
        let failure = Self.failure(
            TLSError(.peerName, "the certificate is for another name", detail: "it is for secret.inner")
        )
        #expect(failure.fullCause.contains("secret.inner") && !failure.cause.contains("secret.inner"))
        #expect(!failure.publicAdvice.contains("secret") && !failure.publicAdvice.contains("8443"))
        let refused = Self.failure(IOError(errnoCode: 111, reason: "connect"))
        #expect(refused.advice.contains("secret.inner:8443") && !refused.publicAdvice.contains("secret"))
        #expect(refused.phase == .connect && refused.error == "connection_refused")
    }

    @Test("A reset in the middle of a handshake is a matter of TLS")
    func reset() {
        let failure = Self.failure(IOError(errnoCode: 104, reason: "read"))
        #expect(
            failure.phase == .tls && failure.error == "tls_protocol_error" && failure.advice.contains("HTTP or TCP")
        )
    }

    @Test(
        "Each failure of the way has its token",
        arguments: [
            (110, "connection_timeout"), (111, "connection_refused"), (113, "destination_ip_unroutable"),
            (101, "destination_ip_unroutable"),
            (24, "connection_limit_reached"),
        ] as [(Int32, String)]
    )
    func way(_ number: Int32, _ token: String) {
        let failure = Self.failure(IOError(errnoCode: number, reason: "connect"))
        #expect(failure.error == token, "\(failure)")
        #expect(!failure.advice.isEmpty && !failure.cause.isEmpty)
    }
}
