package import NIOCore

/// Addresses of IPv4 or IPv6: one, or a network with its prefix, as in `10.1.0.0/16` (RFC 4632).
package struct AddressRange: Sendable, Hashable {
    private let octets: [UInt8]
    private let prefix: Int

    /// - Returns: nil for what is no address, and for a network whose address goes beyond its prefix.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = try? SocketAddress(ipAddress: String(parts[0]), port: 0) else { return nil }
        octets = address.octets
        let bits = octets.count * 8
        guard parts.count == 2 else {
            prefix = bits
            return
        }
        guard let length = Int(parts[1]), parts[1].allSatisfy(\.isNumber), (0...bits).contains(length) else {
            return nil
        }
        prefix = length
        guard (length..<bits).allSatisfy({ octets[$0 / 8] & (0x80 >> ($0 % 8)) == 0 }) else { return nil }
    }

    package func contains(_ address: SocketAddress) -> Bool {
        let other = address.octets
        guard other.count == octets.count else { return false }
        return (0..<prefix).allSatisfy { (octets[$0 / 8] ^ other[$0 / 8]) & (0x80 >> ($0 % 8)) == 0 }
    }
}

extension SocketAddress {
    /// Of the address: 4 for IPv4, also where it is written as IPv6 (RFC 4291 section 2.5.5.2), 16 for IPv6, none for others.
    var octets: [UInt8] {
        let isIPv4 = self.protocol == .inet
        guard isIPv4 || self.protocol == .inet6 else { return [] }
        // Where the address stands in sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)).
        let octets = unsafe withSockAddr { pointer, size in
            let raw = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
            return unsafe isIPv4 ? Array(raw.dropFirst(4).prefix(4)) : Array(raw.dropFirst(8).prefix(16))
        }
        let isMapped = octets.count == 16 && octets.prefix(10).allSatisfy { $0 == 0 } && octets[10] & octets[11] == 0xFF
        return isMapped ? Array(octets.suffix(4)) : octets
    }
}
