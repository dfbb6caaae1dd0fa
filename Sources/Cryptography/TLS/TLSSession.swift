internal import COpenSSL
package import EpollTransport
package import NIOCore

/// One TLS connection over buffers: ciphertext in, plaintext out and the other way round; no sockets.
///
/// Each direction ends by itself; it is closed when both have ended.
///
///     handshaking ──▶ established ──▶ closed
///          └──────────────┴──▶ failed (throws)
@safe package final class TLSSession {
    package enum State: Sendable { case handshaking, established, closed }

    package private(set) var state = State.handshaking
    /// The peer's closing alert is here: nothing more comes.
    package private(set) var isInputEnded = false
    /// Ours has been written: nothing more goes.
    private var isOutputEnded = false
    private let context: TLSContext
    private let ssl: OpaquePointer
    private let buffers: BufferBIO
    private let peer: String
    /// The certificate that verification has refused, if it has.
    var refused: CertificateDetails?
    /// A server has asked for a certificate.
    package fileprivate(set) var isAskedForCertificate = false
    /// And there is one to show. A server that does not like it ends the connection.
    package var sentCertificate: Bool {
        guard isAskedForCertificate, context.hasCertificate else { return false }
        // Where no algorithm suits both, OpenSSL shows none.
        var algorithm: Int32 = 0
        return unsafe COpenSSL_SSL_get_signature_nid(ssl, &algorithm) == 1
    }

    /// - Parameters:
    ///   - serverName: the name or IP address that the peer's certificate must be for; a client sends a name as SNI. Servers
    ///     check it where they demand a certificate.
    ///   - peer: how error messages call the other side.
    package init(_ context: TLSContext, serverName: String?, peer: String, buffers: LoopBuffers)
        throws(TLSError)
    {
        guard let ssl = unsafe SSL_new(context.context) else {
            throw TLSError(.configuration, "OpenSSL: \(TLSError.takeQueue().text)")
        }
        self.context = context
        unsafe self.ssl = unsafe ssl
        self.peer = peer
        self.buffers = BufferBIO(buffers)
        let bio = unsafe self.buffers.makeBIO()
        unsafe SSL_set_bio(ssl, bio, bio)
        // For the callback of verification, which OpenSSL calls from within `handshake`.
        unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        switch context.configuration.role {
        case .server: unsafe SSL_set_accept_state(ssl)
        case .client:
            unsafe SSL_set_connect_state(ssl)
            noteRequestOfCertificate()
        }
        if let serverName { setServerName(serverName) }
    }

    deinit { unsafe SSL_free(ssl) }

    /// Of a client, OpenSSL calls this when a server asks (SSL_set_cert_cb(3)).
    private func noteRequestOfCertificate() {
        unsafe SSL_set_cert_cb(
            ssl,
            { _, own in
                unsafe Unmanaged<TLSSession>.fromOpaque(own!).takeUnretainedValue().isAskedForCertificate = true
                return 1
            },
            unsafe Unmanaged.passUnretained(self).toOpaque()
        )
    }

    private func setServerName(_ name: String) {
        let parameters = unsafe SSL_get0_param(ssl)
        if unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return }
        ERR_clear_error()
        if context.configuration.role == .client { unsafe COpenSSL_SSL_set_tlsext_host_name(ssl, name) }
        unsafe SSL_set1_host(ssl, name)
    }

    // MARK: Handshake

    /// Goes on with the handshake as far as the ciphertext received so far allows.
    package func handshake() throws(TLSError) {
        guard state == .handshaking else { return }
        ERR_clear_error()
        defer { buffers.compact() }
        let result = unsafe SSL_do_handshake(ssl)
        if result == 1 {
            if !context.configuration.applicationProtocols.isEmpty, applicationProtocol == nil {
                throw TLSError(.applicationProtocol, "\(peer) chose no application protocol that is spoken here")
            }
            state = .established
            return
        }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        default: throw unsafe TLSError.handshake(ssl, peer: peer, refused: refused)
        }
    }

    /// Whether plaintext can be written.
    package var isWritable: Bool { state == .established && !isOutputEnded }

    // MARK: Bytes

    /// What a thread has left in OpenSSL's queue would be taken for the next call's error. A look costs a fifth of emptying
    /// what is empty.
    private static func clearErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// Takes ciphertext from the peer.
    package func receive(_ ciphertext: ByteBuffer) { buffers.receive(ciphertext) }

    /// Decrypts what was received, into `plaintext`.
    package func read(into plaintext: inout ByteBuffer) throws(TLSError) {
        while try readRecord(into: &plaintext) {}
    }

    /// Decrypts one record of what was received.
    ///
    /// - Returns: whether there may be another one.
    package func readRecord(into plaintext: inout ByteBuffer) throws(TLSError) -> Bool {
        guard state == .established, !isInputEnded else { return false }
        Self.clearErrors()
        var count = 0
        let result = unsafe plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 16 << 10) { target in
            unsafe SSL_read_ex(ssl, target.baseAddress, target.count, &count) == 1 ? count : 0
        }
        // Asking once more would cost as much as a record does, only to hear that there is none.
        if result > 0, unsafe !buffers.isEmpty || SSL_has_pending(ssl) != 0 { return true }
        buffers.compact()
        guard result == 0 else { return false }
        switch unsafe SSL_get_error(ssl, 0) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        case SSL_ERROR_ZERO_RETURN:
            isInputEnded = true
            if isOutputEnded { state = .closed }
            return false
        default:
            state = .closed
            throw unsafe TLSError.handshake(ssl, peer: peer, refused: refused)
        }
    }

    /// Encrypts `plaintext`; the result waits in `takeCiphertext`.
    package func write(_ plaintext: ByteBuffer) throws(TLSError) {
        guard state == .established, !isOutputEnded, plaintext.readableBytes > 0 else { return }
        Self.clearErrors()
        buffers.borrow()
        let isWritten = unsafe plaintext.withUnsafeReadableBytes { bytes in
            // The BIO never refuses, so one call takes all: records of 16 KiB into one buffer.
            var count = 0
            return unsafe SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count) == 1
        }
        guard isWritten else { throw unsafe TLSError.handshake(ssl, peer: peer, refused: refused) }
    }

    /// Ciphertext for the peer, if there is any.
    package func takeCiphertext() -> ByteBuffer? { buffers.take() }

    /// Ciphertext that no record has been read from yet.
    package func takeUnread() -> ByteBuffer { buffers.takeUnread() }

    /// Whether records are read and written in memory of this connection, which it keeps until `freeBuffers`: for one with much
    /// traffic. Others have it allocated each time, and hold none in between.
    package func keepBuffers(_ keeps: Bool) {
        if keeps {
            unsafe COpenSSL_SSL_clear_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
        } else {
            unsafe COpenSSL_SSL_set_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
        }
    }

    /// Gives back memory that nothing is in.
    package func freeBuffers() { unsafe _ = SSL_free_buffers(ssl) }

    /// Queues the closing alert (RFC 8446 section 6.1). What the peer still sends is read.
    package func close() {
        guard state == .established, !isOutputEnded else { return }
        isOutputEnded = true
        if isInputEnded { state = .closed }
        unsafe SSL_shutdown(ssl)
        ERR_clear_error()
    }

    // MARK: What was agreed

    package var applicationProtocol: String? {
        var bytes: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &bytes, &length)
        guard let bytes = unsafe bytes, length > 0 else { return nil }
        return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: Int(length)), as: UTF8.self)
    }

    /// The name that the client asks for (SNI); nil where it asks for none.
    package var serverName: String? {
        unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) }
    }

    package var version: String { unsafe String(cString: SSL_get_version(ssl)) }

    package var peerCertificate: CertificateDetails? {
        guard let certificate = unsafe SSL_get1_peer_certificate(ssl) else { return nil }
        defer { unsafe X509_free(certificate) }
        return unsafe CertificateDetails(certificate)
    }

    /// The peer's certificates, its own first, up to the one that is trusted here; where none has to be, those that it sent.
    package var verifiedChain: [CertificateDetails] {
        unsafe Self.details(SSL_get0_verified_chain(ssl) ?? SSL_get_peer_cert_chain(ssl))
    }

    /// The certificates that the peer sent, its own first, whether or not they were accepted.
    package var peerChain: [CertificateDetails] { unsafe Self.details(SSL_get_peer_cert_chain(ssl)) }

    private static func details(_ chain: OpaquePointer?) -> [CertificateDetails] {
        guard let chain = unsafe chain else { return [] }
        return unsafe (0..<COpenSSL_X509_chain_count(chain)).compactMap { index in
            unsafe COpenSSL_X509_chain_get(chain, index).map { unsafe CertificateDetails($0) }
        }
    }
}
