package import NIOCore
internal import TextFormats

extension SocketAddress {
    /// "address:port", for logs.
    package var text: String {
        guard let ipAddress, let port else { return pathname ?? "unknown" }
        return "\(HostPort(host: ipAddress, port: port))"
    }
}
