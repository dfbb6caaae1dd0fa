internal import COpenSSL

/// Settings, certificates and keys, read and checked once; sessions are made from it.
///
/// `SSL_CTX` counts its references atomically and is not changed after `init`, so event loops may share one.
@safe package final class TLSContext: @unchecked Sendable {
    package let configuration: TLSConfiguration
    let context: OpaquePointer
    /// Which of OpenSSL's providers is asked first, as a property query; nil for OpenSSL's own.
    let providers: String?
    /// ALPN's wire form; kept here because OpenSSL's callback reads it.
    private let protocols: UnsafeMutableBufferPointer<UInt8>
    /// For `Trust.pinned`, read by OpenSSL's callback.
    private let pin: String

    package init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        providers = Self.providers(configuration)
        guard let context = unsafe SSL_CTX_new_ex(nil, providers, TLS_method()) else {
            throw TLSError(.configuration, "OpenSSL: \(TLSError.takeQueue().text)")
        }
        unsafe self.context = unsafe context
        if case .pinned(let fingerprint) = configuration.trust { pin = fingerprint } else { pin = "" }
        let wire = configuration.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        unsafe protocols = .allocate(capacity: wire.count)
        _ = unsafe protocols.initialize(from: wire)
        setOptions()
        try setCiphers()
        try loadIdentity()
        try loadTrust()
        setProtocols()
    }

    /// Whether there is a certificate to show.
    package var hasCertificate: Bool { configuration.certificateChain != nil }

    deinit {
        unsafe SSL_CTX_free(context)
        unsafe protocols.deallocate()
    }

    private static func providers(_ configuration: TLSConfiguration) -> String? {
        #if canImport(CIPSecMB)
        if configuration.minimumVersion == .tls13, RecordCipherProvider.isLoaded { return RecordCipherProvider.query }
        #endif
        return nil
    }

    private func setOptions() {
        unsafe COpenSSL_SSL_CTX_set_min_proto_version(
            context,
            configuration.minimumVersion.number
        )
        unsafe COpenSSL_SSL_CTX_set_no_renegotiation_no_compression(context)
        unsafe COpenSSL_SSL_CTX_set_session_cache_off(context)
        unsafe SSL_CTX_set_num_tickets(context, 0)
        unsafe COpenSSL_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
        )
        // AES-128 first: as strong as the P-256 keys around it, and a fifth cheaper for bulk than AES-256.
        unsafe SSL_CTX_set_ciphersuites(
            context,
            "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        )
    }

    private func setCiphers() throws(TLSError) {
        var list = configuration.ciphers ?? "ECDHE+AESGCM:ECDHE+CHACHA20"
        // OpenSSL speaks them at its lowest security level only.
        if configuration.minimumVersion == .tls10 || configuration.minimumVersion == .tls11, !list.contains("@SECLEVEL")
        {
            list += ":@SECLEVEL=0"
        }
        guard unsafe SSL_CTX_set_cipher_list(context, list) == 1 else {
            throw TLSError(.configuration, "\"\(list)\" names no cipher suite: \(TLSError.takeQueue().text)")
        }
    }

    /// Those that can be agreed on, most preferred first, as IANA names them.
    package var cipherSuites: [String] {
        guard let list = unsafe SSL_CTX_get_ciphers(context) else { return [] }
        return unsafe (0..<COpenSSL_SSL_CIPHER_count(list)).compactMap { index in
            unsafe COpenSSL_SSL_CIPHER_get(list, index).flatMap { unsafe SSL_CIPHER_standard_name($0) }
                .map { unsafe String(cString: $0) }
        }
    }

    // MARK: Identity

    private func loadIdentity() throws(TLSError) {
        guard let chain = configuration.certificateChain, let key = configuration.privateKey else { return }
        let certificates = try unsafe chain.certificates()
        guard let own = unsafe certificates.first else {
            throw TLSError(.configuration, "\(chain.name) holds no certificate")
        }
        defer { unsafe certificates.forEach { unsafe X509_free($0) } }
        guard unsafe SSL_CTX_use_certificate(context, own) == 1 else {
            throw TLSError(.configuration, "\(chain.name): \(TLSError.takeQueue().text)")
        }
        unsafe certificates.dropFirst().forEach { intermediate in
            unsafe SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(intermediate))
        }
        let bio = try unsafe key.open()
        defer { unsafe BIO_free(bio) }
        guard let privateKey = unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil) else {
            throw TLSError(.configuration, "\(key.name) holds no private key: \(TLSError.takeQueue().text)")
        }
        defer { unsafe EVP_PKEY_free(privateKey) }
        guard unsafe SSL_CTX_use_PrivateKey(context, privateKey) == 1, unsafe SSL_CTX_check_private_key(context) == 1
        else {
            throw TLSError(
                .configuration,
                "the key in \(key.name) does not belong to the certificate in \(chain.name): "
                    + TLSError.takeQueue().text
            )
        }
    }

    // MARK: Trust

    private func loadTrust() throws(TLSError) {
        switch configuration.trust {
        case .anyCertificate:
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .pinned: setPinnedTrust()
        case .anchors(let sources):
            let store = unsafe SSL_CTX_get_cert_store(context)
            if configuration.acceptsAnyAnchor { unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN)) }
            noteRefusedCertificates()
            if configuration.ignoresPurpose {
                unsafe X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(context), X509_PURPOSE_ANY)
            }
            for source in sources {
                let certificates = try unsafe source.certificates()
                defer { unsafe certificates.forEach { unsafe X509_free($0) } }
                guard unsafe !certificates.isEmpty else {
                    throw TLSError(.configuration, "\(source.name) holds no certificate")
                }
                unsafe certificates.forEach { certificate in
                    unsafe X509_STORE_add_cert(store, certificate)
                    // A server names its anchors, so that a client with several certificates can choose.
                    if configuration.requiresClientCertificate { unsafe SSL_CTX_add_client_CA(context, certificate) }
                }
            }
            switch configuration.role {
            case .client: unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            case .server where configuration.requiresClientCertificate:
                unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            case .server: unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            }
        }
    }

    /// OpenSSL forgets a certificate that it refuses; people want to know which one it was.
    private func noteRefusedCertificates() {
        unsafe SSL_CTX_set_cert_verify_callback(
            context,
            { verification, _ in
                let result = unsafe X509_verify_cert(verification)
                guard result != 1 else { return 1 }
                let index = SSL_get_ex_data_X509_STORE_CTX_idx()
                if let ssl = unsafe X509_STORE_CTX_get_ex_data(verification, index),
                    let session = unsafe SSL_get_ex_data(OpaquePointer(ssl), 0),
                    let certificate = unsafe X509_STORE_CTX_get_current_cert(verification)
                        ?? X509_STORE_CTX_get0_cert(verification)
                {
                    unsafe Unmanaged<TLSSession>.fromOpaque(session).takeUnretainedValue().refused =
                        unsafe CertificateDetails(certificate)
                }
                return result
            },
            nil
        )
    }

    private func setPinnedTrust() {
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        unsafe SSL_CTX_set_cert_verify_callback(
            context,
            { verification, own in
                let pin = unsafe Unmanaged<TLSContext>.fromOpaque(own!).takeUnretainedValue().pin
                let chain = unsafe X509_STORE_CTX_get0_untrusted(verification)
                for index in unsafe 0..<COpenSSL_X509_chain_count(chain) {
                    guard let certificate = unsafe COpenSSL_X509_chain_get(chain, index),
                        unsafe CertificateDetails.fingerprint(certificate) == pin
                    else { continue }
                    return unsafe COpenSSL_X509_verify_anchored(verification, certificate)
                }
                unsafe X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_UNTRUSTED)
                return 0
            },
            unsafe Unmanaged.passUnretained(self).toOpaque()
        )
    }

    // MARK: ALPN

    private func setProtocols() {
        guard unsafe !protocols.isEmpty else { return }
        switch configuration.role {
        case .client:
            unsafe SSL_CTX_set_alpn_protos(context, protocols.baseAddress, UInt32(protocols.count))
        case .server:
            unsafe SSL_CTX_set_alpn_select_cb(
                context,
                { ssl, selected, selectedLength, offered, offeredLength, own in
                    let context = unsafe Unmanaged<TLSContext>.fromOpaque(own!).takeUnretainedValue()
                    let own = unsafe context.protocols
                    var choice: UnsafeMutablePointer<UInt8>?
                    var length: UInt8 = 0
                    let result = unsafe SSL_select_next_proto(
                        &choice,
                        &length,
                        own.baseAddress,
                        UInt32(own.count),
                        offered,
                        offeredLength
                    )
                    guard result == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    unsafe selected!.pointee = unsafe UnsafePointer(choice)
                    unsafe selectedLength!.pointee = length
                    let name = unsafe UnsafeBufferPointer(start: choice, count: Int(length))
                    if context.configuration.anonymousProtocols.contains(where: { unsafe $0.utf8.elementsEqual(name) })
                    {
                        // Before the certificate request is written (RFC 8446 section 4.3.2).
                        unsafe SSL_set_verify(ssl, SSL_VERIFY_NONE, nil)
                    }
                    return SSL_TLSEXT_ERR_OK
                },
                unsafe Unmanaged.passUnretained(self).toOpaque()
            )
        }
    }
}

extension TLSConfiguration.Version {
    fileprivate var number: Int32 {
        switch self {
        case .tls10: TLS1_VERSION
        case .tls11: TLS1_1_VERSION
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}
