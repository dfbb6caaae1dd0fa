package import NIOCore

/// Who takes places on a listener: an IPv4 address, or the network of an IPv6 address that one site usually has (/64).
package struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// - Returns: nil for sockets in the file system, whose folder says who may use them.
    package init?(_ address: SocketAddress?) {
        guard let address, address.protocol != .unix else { return nil }
        // Where the address stands in sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)).
        var bytes: (UInt64, UInt64) = (0, 0)
        let isIPv4 = address.protocol == .inet
        unsafe address.withSockAddr { pointer, size in
            let raw = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
            unsafe withUnsafeMutableBytes(of: &bytes) { target in
                let source = unsafe isIPv4 ? raw.dropFirst(4).prefix(4) : raw.dropFirst(8).prefix(8)
                unsafe target.copyBytes(from: source)
            }
        }
        high = bytes.0
        low = isIPv4 ? 4 : 6
    }
}
