internal import COpenSSL
package import NIOCore

/// One TLS connection over buffers: ciphertext in, plaintext out and the other way round; no sockets.
///
///     handshaking ──▶ established ──▶ closed
///          └──────────────┴──▶ failed (throws)
package final class TLSSession {
    package enum State: Sendable { case handshaking, established, closed }

    package private(set) var state = State.handshaking
    private let context: TLSContext
    private let ssl: OpaquePointer
    private let buffers: BufferBIO
    private let peer: String

    /// - Parameters:
    ///   - serverName: for clients: sent as SNI and checked against the certificate; an IP address is only checked.
    ///   - peer: how error messages call the other side.
    package init(_ context: TLSContext, serverName: String?, peer: String, allocator: ByteBufferAllocator)
        throws(TLSError)
    {
        guard let ssl = SSL_new(context.context) else {
            throw TLSError(.configuration, "OpenSSL: \(TLSError.takeQueue().text)")
        }
        self.context = context
        self.ssl = ssl
        self.peer = peer
        self.buffers = BufferBIO(allocator: allocator)
        let bio = buffers.makeBIO()
        SSL_set_bio(ssl, bio, bio)
        switch context.configuration.role {
        case .server: SSL_set_accept_state(ssl)
        case .client:
            SSL_set_connect_state(ssl)
            if let serverName { setServerName(serverName) }
        }
    }

    deinit { SSL_free(ssl) }

    private func setServerName(_ name: String) {
        let parameters = SSL_get0_param(ssl)
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return }
        ERR_clear_error()
        COpenSSL_SSL_set_tlsext_host_name(ssl, name)
        SSL_set1_host(ssl, name)
    }

    // MARK: Handshake

    /// Goes on with the handshake as far as the ciphertext received so far allows.
    package func handshake() throws(TLSError) {
        guard state == .handshaking else { return }
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            if !context.configuration.applicationProtocols.isEmpty, applicationProtocol == nil {
                throw TLSError(.applicationProtocol, "\(peer) chose no application protocol that is spoken here")
            }
            state = .established
            return
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        default: throw TLSError.handshake(ssl, peer: peer)
        }
    }

    // MARK: Octets

    /// Takes ciphertext from the peer.
    package func receive(_ ciphertext: ByteBuffer) { buffers.receive(ciphertext) }

    /// Decrypts what was received, into `plaintext`.
    package func read(into plaintext: inout ByteBuffer) throws(TLSError) {
        guard state == .established else { return }
        ERR_clear_error()
        while true {
            var count = 0
            let result = plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 16 << 10) { target in
                SSL_read_ex(ssl, target.baseAddress, target.count, &count) == 1 ? count : 0
            }
            if result > 0 { continue }
            switch SSL_get_error(ssl, 0) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
            case SSL_ERROR_ZERO_RETURN:
                state = .closed
                return
            default:
                state = .closed
                throw TLSError.handshake(ssl, peer: peer)
            }
        }
    }

    /// Encrypts `plaintext`; the result waits in `takeCiphertext`.
    package func write(_ plaintext: ByteBuffer) throws(TLSError) {
        guard state == .established, plaintext.readableBytes > 0 else { return }
        ERR_clear_error()
        let isWritten = plaintext.withUnsafeReadableBytes { octets in
            // The BIO never refuses, so one call takes all: records of 16 KiB into one buffer.
            var count = 0
            return SSL_write_ex(ssl, octets.baseAddress, octets.count, &count) == 1
        }
        guard isWritten else { throw TLSError.handshake(ssl, peer: peer) }
    }

    /// Ciphertext for the peer, if there is any.
    package func takeCiphertext() -> ByteBuffer? { buffers.take() }

    /// Queues the closing alert (RFC 8446 section 6.1).
    package func close() {
        guard state == .established else { return }
        state = .closed
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    // MARK: What was agreed

    package var applicationProtocol: String? {
        var octets: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &octets, &length)
        guard let octets, length > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: octets, count: Int(length)), as: UTF8.self)
    }

    package var version: String { String(cString: SSL_get_version(ssl)) }

    package var peerCertificate: CertificateDetails? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        return CertificateDetails(certificate)
    }

    /// The certificates that the peer sent, its own first, whether or not they were accepted.
    package var peerChain: [CertificateDetails] {
        guard let chain = SSL_get_peer_cert_chain(ssl) else { return [] }
        return (0..<COpenSSL_X509_chain_count(chain)).compactMap { index in
            COpenSSL_X509_chain_get(chain, index).map { CertificateDetails($0) }
        }
    }
}
