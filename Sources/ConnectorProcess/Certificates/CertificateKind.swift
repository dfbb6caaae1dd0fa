internal import Cryptography

/// A certificate by which internal hosts know the connector or its users.
package enum CertificateKind: String, CaseIterable, Sendable {
    /// Signs the certificates of users.
    case ca
    /// Shows internal hosts that the connector may speak for users.
    case system

    /// Whether certificate and key belong together, and are good for what they are meant for.
    func check(_ identity: OwnCertificate.Identity) throws(TLSError) {
        var configuration = TLSConfiguration(role: .client)
        (configuration.certificateChain, configuration.privateKey) = (
            .pem(identity.certificate), .pem(identity.privateKey)
        )
        _ = try TLSContext(configuration)
        guard self == .ca else { return }
        guard try CertificateIssuer(identity).maySign else {
            throw TLSError(
                .configuration,
                "the certificate may not sign others: users' certificates need one of an authority (CA:TRUE, keyCertSign)"
            )
        }
    }
}
