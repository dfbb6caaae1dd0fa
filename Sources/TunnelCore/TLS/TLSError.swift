internal import COpenSSL

/// Why a TLS connection could not be made or went wrong: which check failed, and on which side.
package struct TLSError: Error, Sendable, CustomStringConvertible, Equatable {
    package enum Code: String, Sendable {
        /// A file with a certificate or key cannot be used.
        case configuration
        /// We do not trust the peer's certificate.
        case peerCertificate
        /// The peer presented none, though it must.
        case noPeerCertificate
        /// The peer's certificate is for another name.
        case peerName
        /// The peer did not accept what we sent; it said so with an alert.
        case refusedByPeer
        /// No protocol both sides speak inside TLS.
        case applicationProtocol
        /// The octets are not TLS, or a TLS this side does not speak.
        case protocolViolation
        /// The connection ended during the handshake.
        case closedDuringHandshake
        /// The connection ended without the closing alert that protects against truncation.
        case truncated
    }

    package var code: Code
    package var description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// The token for `Proxy-Status` (RFC 9209 section 2.3).
    package var proxyStatus: StaticString {
        switch code {
        case .peerCertificate, .noPeerCertificate, .peerName: "tls_certificate_error"
        case .refusedByPeer: "tls_alert_received"
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
            if let reason = ERR_reason_error_string(code) { texts.append(String(cString: reason)) }
        }
        return (first, texts.isEmpty ? "no details" : texts.joined(separator: ", "))
    }

    /// What a failed handshake means, from the error queue and the result of verification.
    static func handshake(_ ssl: OpaquePointer, peer: String) -> TLSError {
        let (code, text) = takeQueue()
        let reason = Int32(truncatingIfNeeded: COpenSSL_ERR_GET_REASON(code))
        if COpenSSL_ERR_GET_LIB(code) == ERR_LIB_SSL, reason > SSL_AD_REASON_OFFSET {
            let alert = String(cString: SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET))
            return TLSError(
                .refusedByPeer,
                "\(peer) refused the handshake with the alert \"\(alert)\"; its log says why"
            )
        }
        let verification = SSL_get_verify_result(ssl)
        if verification != X509_V_OK {
            let text = String(cString: X509_verify_cert_error_string(verification))
            if verification == X509_V_ERR_HOSTNAME_MISMATCH || verification == X509_V_ERR_IP_ADDRESS_MISMATCH {
                return TLSError(.peerName, "the certificate of \(peer) is for another name: \(text)")
            }
            return TLSError(.peerCertificate, "the certificate of \(peer) is not accepted here: \(text)")
        }
        switch reason {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.noPeerCertificate, "\(peer) presented no certificate, though one is required")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return TLSError(.applicationProtocol, "\(peer) offers no application protocol that is spoken here")
        default:
            return TLSError(.protocolViolation, "the TLS handshake with \(peer) failed: \(text)")
        }
    }
}
