/// How one side of TLS behaves.
package struct TLSConfiguration: Sendable, Equatable {
    package enum Role: Sendable { case client, server }
    /// A version of TLS, as configurations name it.
    package enum Version: String, Sendable, CaseIterable {
        /// Obsolete (RFC 8996); for internal hosts that cannot do better, never for a tunnel.
        case tls10 = "1.0"
        case tls11 = "1.1"
        case tls12 = "1.2"
        case tls13 = "1.3"
    }
    /// Whose certificates count.
    package enum Trust: Sendable, Equatable {
        /// Certificates that anchor a chain. An empty list trusts nothing.
        case anchors([PEMSource])
        /// The anchor is whichever certificate of the peer's chain has this SHA-256 fingerprint (hexadecimal). For the
        /// enrolment of a connector, which has nothing else yet.
        case pinned(String)
        /// Takes any certificate. For tests of internal hosts; never for a tunnel.
        case anyCertificate
    }

    package var role: Role
    package var minimumVersion: Version
    /// Own certificate, followed by its intermediates.
    package var certificateChain: PEMSource?
    package var privateKey: PEMSource?
    package var trust: Trust
    /// A server demands a certificate from its clients.
    package var requiresClientCertificate: Bool
    /// In OpenSSL's notation, up to TLS 1.2; nil for the few that a tunnel needs.
    package var ciphers: String?
    /// An anchor need not be self-signed: any certificate of the peer's chain will do.
    package var acceptsAnyAnchor = false
    /// A client's certificate does for a server, and the other way round (RFC 5280 section 4.2.1.12).
    package var ignoresPurpose = false
    /// Protocols inside TLS, most preferred first (RFC 7301).
    package var applicationProtocols: [String]
    /// Those of `applicationProtocols` for which a server demands no certificate after all.
    package var anonymousProtocols: [String]

    package init(
        role: Role,
        minimumVersion: Version = .tls13,
        certificateChain: PEMSource? = nil,
        privateKey: PEMSource? = nil,
        trust: Trust = .anchors([]),
        requiresClientCertificate: Bool = false,
        applicationProtocols: [String] = [],
        anonymousProtocols: [String] = []
    ) {
        self.role = role
        self.minimumVersion = minimumVersion
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.trust = trust
        self.requiresClientCertificate = requiresClientCertificate
        self.applicationProtocols = applicationProtocols
        self.anonymousProtocols = anonymousProtocols
    }
}
