/// How one side of TLS behaves.
package struct TLSConfiguration: Sendable, Equatable {
    package enum Role: Sendable { case client, server }
    package enum Version: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }
    /// PEM, from a file or from memory.
    package enum Source: Sendable, Equatable {
        case file(String)
        case pem(String)
    }
    package enum Trust: Sendable, Equatable {
        /// Certificates that anchor a chain. An empty list trusts nothing.
        case anchors([Source])
        /// The anchor is whichever certificate of the peer's chain has this SHA-256 fingerprint (hexadecimal). For the
        /// enrolment of a connector, which has nothing else yet.
        case pinned(String)
        /// Takes any certificate. For tests of internal hosts; never for a tunnel.
        case anyCertificate
    }

    package var role: Role
    package var minimumVersion: Version
    /// Own certificate, followed by its intermediates.
    package var certificateChain: Source?
    package var privateKey: Source?
    package var trust: Trust
    /// A server demands a certificate from its clients.
    package var requiresClientCertificate: Bool
    /// Protocols inside TLS, most preferred first (RFC 7301).
    package var applicationProtocols: [String]
    /// Those of `applicationProtocols` for which a server demands no certificate after all.
    package var anonymousProtocols: [String]

    package init(
        role: Role,
        minimumVersion: Version = .tls13,
        certificateChain: Source? = nil,
        privateKey: Source? = nil,
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
