internal import Cryptography
internal import Glibc
package import NIOCore
internal import NIOPosix
internal import TextFormats
package import TunnelCore

/// Where and how a connector dials.
package struct DialerConfiguration: Sendable, Equatable {
    /// An HTTP proxy that opens connections with CONNECT (RFC 9110 section 9.3.6).
    package struct Proxy: Sendable, Equatable {
        package var host: String
        package var port: Int
        /// Of `Proxy-Authorization: Basic`; nil where the proxy asks for nothing.
        package var credentials: Credentials?

        package init(host: String, port: Int, credentials: Credentials? = nil) {
            self.host = host
            self.port = port
            self.credentials = credentials
        }
    }

    /// User and password; prints as nothing.
    package struct Credentials: Sendable, Equatable, CustomStringConvertible {
        package var user: String
        package var password: String

        package init(user: String, password: String) {
            self.user = user
            self.password = password
        }
        package var description: String { "<redacted>" }
    }

    package var host: String
    package var port: Int
    /// Whether tunnels are wanted at all.
    var isActive = true
    package var dialect = TunnelDialect.standard
    package var envoy = EnvoySettings()
    /// Tunnels to each address of the service.
    var connections: Int
    package var proxy: Proxy?
    var tls: TLSConfiguration
    package var http2: HTTP2Configuration
    var pingInterval: TimeAmount
    var connectTimeout: TimeAmount = .seconds(10)
    var backoff = Backoff()

    package var service: String { "\(HostPort(host: host, port: port))" }

    /// Addresses behind one name that get tunnels.
    var services = defaultServices
    static let defaultServices = 16
    /// What tells connectors apart, where there are more addresses than that.
    var seed = ""
}

/// One end point that tunnels are kept up to.
package struct DialTarget: Sendable, Hashable {
    /// As logs and status show it.
    package var name: String
    /// Nil where a proxy resolves the name.
    package var address: SocketAddress?

    package init(name: String, address: SocketAddress? = nil) {
        self.name = name
        self.address = address
    }
}
