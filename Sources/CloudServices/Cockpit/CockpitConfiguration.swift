package import Networking
package import TextFormats

/// The web page for people.
package struct CockpitConfiguration: Sendable, Equatable {
    package var address = HostPort(host: "127.0.0.1", port: 20081)
    /// Nil for plain HTTP.
    package var tls: ListenerTLS?
    /// Who is believed about clients.
    package var trusted = TrustedPeers()
    /// Under which browsers call it, beside those of loopback.
    package var hostNames: [String] = []
    /// Nil where loopback is enough.
    package var password: String?

    package init() {}

    package var isLoopback: Bool { address.isLoopback }
}

extension CockpitConfiguration {
    /// What takes effect at the next start only.
    package var withoutTLS: CockpitConfiguration {
        var other = self
        other.tls = nil
        return other
    }
}
