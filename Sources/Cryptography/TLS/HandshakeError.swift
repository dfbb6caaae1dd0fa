internal import COpenSSL
internal import HostSystem

extension TLSError {
    /// What a failed handshake means, from the error queue and the result of verification.
    ///
    /// - Parameter refused: the peer's certificate, where verification has refused it.
    static func handshake(_ ssl: OpaquePointer, peer: String, refused: CertificateDetails? = nil) -> TLSError {
        let (code, text) = takeQueue()
        let reason = Int32(truncatingIfNeeded: COpenSSL_ERR_GET_REASON(code))
        if COpenSSL_ERR_GET_LIB(code) == ERR_LIB_SSL, reason > SSL_AD_REASON_OFFSET {
            return unsafe alert(reason - SSL_AD_REASON_OFFSET, ssl, peer)
        }
        let verification = unsafe SSL_get_verify_result(ssl)
        if verification != X509_V_OK { return Self.verification(Int32(verification), peer, refused) }
        switch reason {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.noPeerCertificate, "\(peer) presented no certificate, though one is required")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return TLSError(.applicationProtocol, "\(peer) offers no application protocol that is spoken here")
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG,
            SSL_R_BAD_PACKET_LENGTH, SSL_R_RECORD_LENGTH_MISMATCH:
            return TLSError(.notTLS, "\(peer) does not speak TLS on this port")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE:
            return TLSError(.nothingInCommon, "\(peer) speaks no version of TLS that is allowed here", detail: text)
        case SSL_R_NO_SHARED_CIPHER, SSL_R_WRONG_CIPHER_RETURNED, SSL_R_UNKNOWN_CIPHER_RETURNED, SSL_R_DH_KEY_TOO_SMALL:
            return TLSError(.nothingInCommon, "\(peer) has no cipher suite that is allowed here", detail: text)
        default:
            return TLSError(.protocolViolation, "the TLS handshake with \(peer) failed: \(text)")
        }
    }

    private static func alert(_ number: Int32, _ ssl: OpaquePointer, _ peer: String) -> TLSError {
        let name = Self.name(ofAlert: number)
        var types: UnsafePointer<UInt8>?
        // What a server up to TLS 1.2 takes as a client's certificate: it has asked for one.
        let isAskedFor = unsafe COpenSSL_SSL_get0_certificate_types(ssl, &types) > 0 && SSL_get_certificate(ssl) == nil
        switch number {
        case SSL_AD_CERTIFICATE_REQUIRED,
            SSL_AD_HANDSHAKE_FAILURE where isAskedFor, SSL_AD_BAD_CERTIFICATE where isAskedFor,
            SSL_AD_CERTIFICATE_UNKNOWN where isAskedFor, SSL_AD_ACCESS_DENIED where isAskedFor:
            return TLSError(
                .clientCertificateRequired,
                "\(peer) demands a client certificate",
                detail: "alert \"\(name)\""
            )
        case SSL_AD_PROTOCOL_VERSION where unsafe SSL_is_server(ssl) == 0:
            return TLSError(
                .nothingInCommon,
                "\(peer) refused the handshake with the alert \"\(name)\": it speaks no version of TLS that is allowed here"
            )
        case SSL_AD_HANDSHAKE_FAILURE, SSL_AD_INSUFFICIENT_SECURITY:
            guard unsafe SSL_is_server(ssl) == 0 else { break }
            return TLSError(
                .nothingInCommon,
                "\(peer) refused the handshake with the alert \"\(name)\": it may have no cipher suite that is allowed here"
            )
        default: break
        }
        return TLSError(.refusedByPeer, "\(peer) refused the handshake with the alert \"\(name)\"; its log says why")
    }

    /// As IANA's registry has them, where OpenSSL has no name.
    private static func name(ofAlert number: Int32) -> String {
        switch number {
        case SSL_AD_CERTIFICATE_REQUIRED: "certificate required"
        case SSL_AD_MISSING_EXTENSION: "missing extension"
        case SSL_AD_NO_APPLICATION_PROTOCOL: "no application protocol"
        case SSL_AD_UNKNOWN_PSK_IDENTITY: "unknown PSK identity"
        case SSL_AD_INAPPROPRIATE_FALLBACK: "inappropriate fallback"
        default: unsafe String(cString: SSL_alert_desc_string_long(number))
        }
    }

    private static func verification(_ result: Int32, _ peer: String, _ refused: CertificateDetails?) -> TLSError {
        let text = unsafe String(cString: X509_verify_cert_error_string(Int(result)))
        switch result {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let names = refused.map { $0.names.isEmpty ? [$0.subject] : $0.names } ?? []
            return TLSError(
                .peerName,
                "the certificate of \(peer) is for another name",
                detail: names.isEmpty ? text : "it is for \(names.prefix(8).joined(separator: ", "))"
            )
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return TLSError(
                .peerCertificateTime,
                "the certificate of \(peer) is not accepted here: certificate has expired",
                detail: refused.map { "\($0.subject) ended at \(WallClock.text($0.notAfter))" } ?? ""
            )
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return TLSError(
                .peerCertificateTime,
                "the certificate of \(peer) is not accepted here: certificate is not yet valid",
                detail: refused.map { "\($0.subject) begins at \(WallClock.text($0.notBefore))" } ?? ""
            )
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL, X509_V_ERR_CA_MD_TOO_WEAK:
            return TLSError(
                .peerCertificateWeak,
                "the certificate of \(peer) is not accepted here: \(text)",
                detail: refused?.subject ?? ""
            )
        default:
            return TLSError(
                .peerCertificate,
                "the certificate of \(peer) is not accepted here: \(text)",
                detail: refused.map { "\($0.subject), issued by \($0.issuer)" } ?? ""
            )
        }
    }
}
