internal import COpenSSL
internal import HostSystem

/// Why a TLS connection could not be made or went wrong: which check failed, and on which side.
package struct TLSError: Error, Sendable, CustomStringConvertible, Equatable {
    /// What kind of failure it is; advice and metrics go by it.
    package enum Code: String, Sendable {
        /// A file with a certificate or key cannot be used.
        case configuration
        /// We do not trust the peer's certificate.
        case peerCertificate
        /// Its time is over, or has not come.
        case peerCertificateTime
        /// Its key or signature is weaker than OpenSSL's security level allows.
        case peerCertificateWeak
        /// The peer presented none, though it must.
        case noPeerCertificate
        /// The peer's certificate is for another name.
        case peerName
        /// The peer demands a certificate, and we have none for it.
        case clientCertificateRequired
        /// Versions or cipher suites of the two sides have nothing in common.
        case nothingInCommon
        /// The peer did not accept what we sent; it said so with an alert.
        case refusedByPeer
        /// No protocol both sides speak inside TLS.
        case applicationProtocol
        /// The bytes are not TLS.
        case notTLS
        /// TLS, but not as it is specified.
        case protocolViolation
        /// The peer did not finish the handshake in time.
        case handshakeTimeout
        /// The connection ended during the handshake.
        case closedDuringHandshake
        /// The connection ended without the closing alert that protects against truncation.
        case truncated
    }

    package var code: Code
    /// Without names and addresses, except how the peer was called.
    package var cause: String
    /// For whoever runs this side: names, dates.
    package var detail: String

    package var description: String { detail.isEmpty ? cause : "\(cause) (\(detail))" }

    /// The peer's certificate is why, or that it has none.
    package var isAboutCertificate: Bool {
        switch code {
        case .peerCertificate, .peerCertificateTime, .peerCertificateWeak, .noPeerCertificate, .peerName: true
        default: false
        }
    }

    package init(_ code: Code, _ cause: String, detail: String = "") {
        (self.code, self.cause, self.detail) = (code, cause, detail)
    }

    /// The token for `Proxy-Status` (RFC 9209 section 2.3).
    package var proxyStatus: StaticString {
        switch code {
        case .peerCertificate, .peerCertificateTime, .peerCertificateWeak, .noPeerCertificate, .peerName:
            "tls_certificate_error"
        case .refusedByPeer, .clientCertificateRequired, .nothingInCommon: "tls_alert_received"
        case .handshakeTimeout: "connection_timeout"
        default: "tls_protocol_error"
        }
    }
}

extension TLSError {
    /// Takes OpenSSL's error queue, oldest first, and empties it.
    static func takeQueue() -> (code: UInt, text: String) {
        var first: UInt = 0
        var texts: [String] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            if first == 0 { first = code }
            if let reason = unsafe ERR_reason_error_string(code) { unsafe texts.append(String(cString: reason)) }
        }
        return (first, texts.isEmpty ? "no details" : texts.joined(separator: ", "))
    }
}
