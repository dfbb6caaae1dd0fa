package import Cryptography
package import TextFormats

/// How a service is reached by, and reaches, the others that share its store.
package struct PeerConfiguration: Sendable, Equatable {
    /// By which the others know it.
    package var name: InstanceName
    /// Where it listens for them.
    package var address: HostPort
    /// Where they dial; nil for the address at which it listens.
    package var advertised: HostPort?
    /// Certificate and key of a service, PEM; what the others show is signed by `anchor`, too.
    package var certificate = ""
    package var privateKey = ""
    package var anchor = ""

    package init(name: InstanceName, address: HostPort, advertised: HostPort? = nil) {
        (self.name, self.address, self.advertised) = (name, address, advertised)
    }

    /// Inside TLS (RFC 7301): no connector gets anywhere with it.
    private static let applicationProtocol = "connector-peer"

    func tls(_ role: TLSConfiguration.Role) -> TLSConfiguration {
        TLSConfiguration(
            role: role,
            certificateChain: .pem(certificate),
            privateKey: .pem(privateKey),
            trust: .anchors([.pem(anchor)]),
            requiresClientCertificate: true,
            applicationProtocols: [Self.applicationProtocol]
        )
    }
}
