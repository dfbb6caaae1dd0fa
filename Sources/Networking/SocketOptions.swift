package import NIOCore
internal import TextFormats

extension SocketAddress {
    /// "address:port", for logs.
    package var text: String {
        guard let ipAddress, let port else { return pathname ?? "unknown" }
        return "\(HostPort(host: ipAddress, port: port))"
    }
}

extension NIOBSDSocket.Option {
    /// TCP_NOTSENT_LOWAT of Linux (tcp(7)): bytes that may wait in the kernel unsent. Kept low on a tunnel, so that a
    /// small response does not stand behind megabytes of a large one.
    package static let notSentLowWatermark = NIOBSDSocket.Option(rawValue: 25)
}
