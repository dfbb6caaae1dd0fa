package import NIOCore

/// Who takes places on a listener: an IPv4 address, or the network of an IPv6 address that one site usually has (/64).
package struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// - Returns: nil for sockets in the file system, whose folder says who may use them.
    package init?(_ address: SocketAddress?) {
        guard let octets = address?.octets, !octets.isEmpty else { return nil }
        high = octets.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        // An IPv4 address that a socket of IPv6 has accepted is one of IPv4.
        low = UInt64(octets.count)
    }
}
