internal import NIOCore

extension SocketAddress {
    /// Whether the address is one of the public Internet: not private, local to a link or host, shared, or for groups
    /// (RFC 6890 and its registries).
    package var isGlobal: Bool {
        // Where the address stands in sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)).
        let offset = self.protocol == .inet ? 4 : 8
        let bytes = unsafe withSockAddr { pointer, size in
            unsafe Array(UnsafeRawBufferPointer(start: pointer, count: size).dropFirst(offset))
        }
        switch self.protocol {
        case .inet: return Self.isGlobal(Array(bytes.prefix(4)))
        case .inet6:
            // IPv4 in IPv6, mapped and translated (RFC 4291 section 2.5.5.2, RFC 6052).
            let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
            if isMapped || bytes.prefix(4) == [0, 0x64, 0xff, 0x9b] { return Self.isGlobal(Array(bytes[12..<16])) }
            return bytes[0] & 0xe0 == 0x20 && bytes.prefix(4) != [0x20, 0x01, 0x0d, 0xb8]
        default: return false
        }
    }

    private static func isGlobal(_ bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1]) {
        case (0, _), (10, _), (127, _), (169, 254), (172, 16...31), (192, 168), (100, 64...127), (198, 18...19): false
        case (192, 0) where bytes[2] == 0 || bytes[2] == 2: false
        case (198, 51) where bytes[2] == 100: false
        case (203, 0) where bytes[2] == 113: false
        case (224..., _): false
        default: true
        }
    }
}
