internal import Cryptography
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import TextFormats
package import TunnelCore

/// Why an internal host could not be reached: the same words for a request, a check, `status` and the page.
package struct BackendFailure: Sendable, Equatable {
    package var phase: Refusal.Phase
    /// A token of RFC 9209 section 2.3; answers, logs, metrics and results of checks have the same one.
    package var error: String
    /// Without names and addresses of the inside.
    package var cause: String
    /// The same with them, for whoever runs the connector.
    package var fullCause: String
    /// What to do, for whoever runs the connector.
    package var advice: String
    /// What to do, for whoever wrote the program.
    package var publicAdvice: String
    package var token: StaticString

    /// - Parameter target: who was called.
    package init(_ error: any Error, _ target: AvailabilityTarget) {
        let failure = ConnectionError(error)
        (cause, fullCause, token) = (failure.publicCause, failure.cause, failure.proxyStatus)
        phase = failure.isTLS ? .tls : .connect
        self.error = "\(failure.proxyStatus)"
        publicAdvice = "Check in the cloud connector that the internal host is up and reachable"
        if let tls = error as? TLSError {
            advice = Self.advice(tls.code)
            publicAdvice = "Whoever runs the Cloud Connector finds in its log what to do"
        } else if let error = error as? IOError, error.errnoCode == ECONNRESET, target.isTLS {
            phase = .tls
            token = "tls_protocol_error"
            cause = "the internal host reset the connection during the TLS handshake"
            fullCause = cause
            advice = Self.advice(.notTLS)
        } else {
            advice = Self.advice(self.error, target)
        }
        self.error = "\(token)"
    }

    package static func == (left: BackendFailure, right: BackendFailure) -> Bool {
        left.error == right.error && left.fullCause == right.fullCause && left.advice == right.advice
    }

    private static func advice(_ token: String, _ target: AvailabilityTarget) -> String {
        switch token {
        case "dns_error": "check internal-host and the connector's name servers"
        case "connection_refused": "does the server listen on \(target.address)?"
        case "connection_timeout": "is a firewall between the connector and \(target.address)?"
        case "destination_ip_unroutable": "check the connector's routes"
        case "connection_limit_reached": "raise the limit of open files of the connector's service"
        default: "see the log of the internal host"
        }
    }

    static func advice(_ code: TLSError.Code) -> String {
        switch code {
        case .peerCertificate: "name the authority that signed it in backend-trust.certificates"
        case .peerCertificateTime: "renew the internal host's certificate, or put its clock or this machine's right"
        case .peerCertificateWeak:
            "give the internal host a stronger one, or set backend-trust.ciphers: DEFAULT@SECLEVEL=0"
        case .peerName: "use the name in the certificate as internal-host"
        case .clientCertificateRequired:
            "the connector has none to show yet; let the internal host take it without, from this machine"
        case .nothingInCommon:
            "widen backend-trust.minimum-tls or backend-trust.ciphers, or let the internal host speak TLS 1.2 with ECDHE"
        case .notTLS: "does it speak TLS on this port? If not, the protocol is HTTP or TCP"
        case .protocolViolation, .closedDuringHandshake, .handshakeTimeout:
            "does it speak TLS on this port? If not, the protocol is HTTP or TCP"
        case .refusedByPeer: "it may demand another version of TLS, or know the connector by another name"
        default: "see the log of the internal host"
        }
    }
}
