internal import COpenSSL

/// Settings, certificates and keys, read and checked once; sessions are made from it.
///
/// `SSL_CTX` counts its references atomically and is not changed after `init`, so event loops may share one.
package final class TLSContext: @unchecked Sendable {
    package let configuration: TLSConfiguration
    let context: OpaquePointer
    /// ALPN's wire form; kept here because OpenSSL's callback reads it.
    private let protocols: UnsafeMutableBufferPointer<UInt8>
    /// For `Trust.pinned`, read by OpenSSL's callback.
    private let pin: String

    package init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        guard let context = SSL_CTX_new(TLS_method()) else {
            throw TLSError(.configuration, "OpenSSL: \(TLSError.takeQueue().text)")
        }
        self.context = context
        if case .pinned(let fingerprint) = configuration.trust { pin = fingerprint } else { pin = "" }
        let wire = configuration.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        protocols = .allocate(capacity: wire.count)
        _ = protocols.initialize(from: wire)
        setOptions()
        try loadIdentity()
        try loadTrust()
        setProtocols()
    }

    deinit {
        SSL_CTX_free(context)
        protocols.deallocate()
    }

    private func setOptions() {
        COpenSSL_SSL_CTX_set_min_proto_version(
            context,
            configuration.minimumVersion == .tls13 ? TLS1_3_VERSION : TLS1_2_VERSION
        )
        COpenSSL_SSL_CTX_set_no_renegotiation_no_compression(context)
        COpenSSL_SSL_CTX_set_session_cache_off(context)
        SSL_CTX_set_num_tickets(context, 0)
        COpenSSL_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
        )
        // AES-128 first: as strong as the P-256 keys around it, and a fifth cheaper for bulk than AES-256.
        SSL_CTX_set_ciphersuites(
            context,
            "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        )
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20")
    }

    // MARK: Identity

    private func loadIdentity() throws(TLSError) {
        guard let chain = configuration.certificateChain, let key = configuration.privateKey else { return }
        let certificates = try Self.certificates(chain)
        guard let own = certificates.first else {
            throw TLSError(.configuration, "\(Self.name(chain)) holds no certificate")
        }
        defer { for certificate in certificates { X509_free(certificate) } }
        guard SSL_CTX_use_certificate(context, own) == 1 else {
            throw TLSError(.configuration, "\(Self.name(chain)): \(TLSError.takeQueue().text)")
        }
        for intermediate in certificates.dropFirst() {
            SSL_CTX_ctrl(
                context,
                SSL_CTRL_CHAIN_CERT,
                1,
                UnsafeMutableRawPointer(intermediate)
            )
        }
        let bio = try Self.open(key)
        defer { BIO_free(bio) }
        guard let privateKey = PEM_read_bio_PrivateKey(bio, nil, nil, nil) else {
            throw TLSError(.configuration, "\(Self.name(key)) holds no private key: \(TLSError.takeQueue().text)")
        }
        defer { EVP_PKEY_free(privateKey) }
        guard SSL_CTX_use_PrivateKey(context, privateKey) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw TLSError(
                .configuration,
                "the key in \(Self.name(key)) does not belong to the certificate in \(Self.name(chain)): "
                    + TLSError.takeQueue().text
            )
        }
    }

    // MARK: Trust

    private func loadTrust() throws(TLSError) {
        switch configuration.trust {
        case .anyCertificate:
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .pinned: setPinnedTrust()
        case .anchors(let sources):
            let store = SSL_CTX_get_cert_store(context)
            for source in sources {
                let certificates = try Self.certificates(source)
                defer { for certificate in certificates { X509_free(certificate) } }
                guard !certificates.isEmpty else {
                    throw TLSError(.configuration, "\(Self.name(source)) holds no certificate")
                }
                for certificate in certificates {
                    X509_STORE_add_cert(store, certificate)
                    // A server names its anchors, so that a client with several certificates can choose.
                    if configuration.requiresClientCertificate { SSL_CTX_add_client_CA(context, certificate) }
                }
            }
            switch configuration.role {
            case .client: SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            case .server where configuration.requiresClientCertificate:
                SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            case .server: SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            }
        }
    }

    private func setPinnedTrust() {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        SSL_CTX_set_cert_verify_callback(
            context,
            { verification, own in
                let pin = Unmanaged<TLSContext>.fromOpaque(own!).takeUnretainedValue().pin
                let chain = X509_STORE_CTX_get0_untrusted(verification)
                for index in 0..<COpenSSL_X509_chain_count(chain) {
                    guard let certificate = COpenSSL_X509_chain_get(chain, index),
                        CertificateDetails.fingerprint(certificate) == pin
                    else { continue }
                    return COpenSSL_X509_verify_anchored(verification, certificate)
                }
                X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_UNTRUSTED)
                return 0
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    // MARK: ALPN

    private func setProtocols() {
        guard !protocols.isEmpty else { return }
        switch configuration.role {
        case .client:
            SSL_CTX_set_alpn_protos(context, protocols.baseAddress, UInt32(protocols.count))
        case .server:
            SSL_CTX_set_alpn_select_cb(
                context,
                { ssl, selected, selectedLength, offered, offeredLength, own in
                    let context = Unmanaged<TLSContext>.fromOpaque(own!).takeUnretainedValue()
                    let own = context.protocols
                    var choice: UnsafeMutablePointer<UInt8>?
                    var length: UInt8 = 0
                    let result = SSL_select_next_proto(
                        &choice,
                        &length,
                        own.baseAddress,
                        UInt32(own.count),
                        offered,
                        offeredLength
                    )
                    guard result == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    selected!.pointee = UnsafePointer(choice)
                    selectedLength!.pointee = length
                    let name = UnsafeBufferPointer(start: choice, count: Int(length))
                    if context.configuration.anonymousProtocols.contains(where: { $0.utf8.elementsEqual(name) }) {
                        // Before the certificate request is written (RFC 8446 section 4.3.2).
                        SSL_set_verify(ssl, SSL_VERIFY_NONE, nil)
                    }
                    return SSL_TLSEXT_ERR_OK
                },
                Unmanaged.passUnretained(self).toOpaque()
            )
        }
    }

    // MARK: PEM

    static func name(_ source: TLSConfiguration.Source) -> String {
        switch source {
        case .file(let path): path
        case .pem: "the PEM text"
        }
    }

    static func open(_ source: TLSConfiguration.Source) throws(TLSError) -> OpaquePointer {
        let bio: OpaquePointer?
        switch source {
        case .file(let path): bio = BIO_new_file(path, "r")
        case .pem(let text):
            bio = BIO_new(BIO_s_mem())
            text.withCString { _ = BIO_write(bio, $0, Int32(text.utf8.count)) }
        }
        guard let bio else {
            throw TLSError(.configuration, "cannot read \(name(source)): \(TLSError.takeQueue().text)")
        }
        return bio
    }

    /// All certificates of a PEM source, in order. The caller frees them.
    static func certificates(_ source: TLSConfiguration.Source) throws(TLSError) -> [OpaquePointer] {
        let bio = try open(source)
        defer { BIO_free(bio) }
        var certificates: [OpaquePointer] = []
        while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) { certificates.append(certificate) }
        ERR_clear_error()
        return certificates
    }
}
