internal import Glibc
package import Networking
package import TextFormats
package import Tokens

/// What programs and SDKs use beside the proxy.
package struct CloudAPIConfiguration: Sendable, Equatable {
    package var address = HostPort(host: "127.0.0.1", port: 20080)
    /// Nil for plain HTTP.
    package var tls: ListenerTLS?
    /// Who is believed about clients.
    package var trusted = TrustedPeers()
    /// Under which clients reach it, without a slash at the end; empty for the address itself.
    package var url = ""
    /// Holds keys and secrets.
    package var directory = ""
    /// Holds the destinations; empty for a folder in `directory`.
    package var destinationsFolder = ""
    /// Certificates that token services of destinations are checked with; empty for those of the system.
    package var trustedCA = ""
    /// Of the service's own subaccount.
    package var subdomain = "provider"
    package var tenants: [Tenant] = []
    /// In seconds.
    package var tokenLifetime = 12 * 3600

    package init() {}

    static let systemTrust = "/etc/ssl/certs/ca-certificates.crt"

    package var destinations: String { destinationsFolder.isEmpty ? directory + "/destinations" : destinationsFolder }

    /// Nil where a system has no certificates; then `https` fails with a message.
    package var trust: String? {
        guard trustedCA.isEmpty else { return trustedCA }
        return unsafe access(Self.systemTrust, R_OK) == 0 ? Self.systemTrust : nil
    }

    package var isLoopback: Bool { address.isLoopback }

    /// Where programs reach the API: as configured, or else this machine.
    package func url(port: Int) -> String {
        guard url.isEmpty else { return url }
        return
            "\(tls == nil ? "http" : "https")://\(HostPort(host: address.isLocalhost ? "localhost" : address.host, port: port))"
    }
}

extension CloudAPIConfiguration {
    /// What takes effect at the next start only: whether there is TLS is a part of the API's URL, which certificate is not.
    package var withoutTLS: CloudAPIConfiguration {
        var other = self
        if tls != nil { other.tls = ListenerTLS() }
        return other
    }
}
