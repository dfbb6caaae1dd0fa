internal import Glibc
package import NIOCore
internal import NIOPosix

/// Names to addresses, on a thread that may wait.
package enum AddressResolver {
    struct ResolverError: Error, CustomStringConvertible {
        var name: String
        var reason: String
        var description: String { "the name \(name) cannot be resolved: \(reason)" }
    }

    /// All addresses, IPv6 and IPv4 in turn as the system prefers them (RFC 8305 section 4), each once.
    package static func resolve(_ host: String, _ port: Int) async throws -> [SocketAddress] {
        try await NIOThreadPool.singleton.runIfActive { try lookUp(host, port) }
    }

    static func lookUp(_ host: String, _ port: Int) throws -> [SocketAddress] {
        // Names below localhost are this machine's, whatever the system makes of them (RFC 6761 section 6.3).
        if host.lowercased().hasSuffix(".localhost") {
            return [
                try SocketAddress(ipAddress: "127.0.0.1", port: port), try SocketAddress(ipAddress: "::1", port: port),
            ]
        }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = Int32(AI_ADDRCONFIG)
        var result: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, String(port), &hints, &result)
        guard status == 0 else { throw unsafe ResolverError(name: host, reason: String(cString: gai_strerror(status))) }
        defer { unsafe freeaddrinfo(result) }
        var addresses: [SocketAddress] = []
        var next = unsafe result
        while let entry = unsafe next {
            unsafe next = entry.pointee.ai_next
            guard let raw = unsafe entry.pointee.ai_addr else { continue }
            let address: SocketAddress? =
                switch unsafe entry.pointee.ai_family {
                case AF_INET:
                    unsafe raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { unsafe SocketAddress($0.pointee) }
                case AF_INET6:
                    unsafe raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                        unsafe SocketAddress($0.pointee)
                    }
                default: nil
                }
            if let address, !addresses.contains(address) { addresses.append(address) }
        }
        guard !addresses.isEmpty else { throw ResolverError(name: host, reason: "it has no address") }
        return interleaved(addresses)
    }

    static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first else { return [] }
        let preferred = addresses.filter { $0.protocol == first.protocol }
        let others = addresses.filter { $0.protocol != first.protocol }
        var result: [SocketAddress] = []
        for index in 0..<max(preferred.count, others.count) {
            if index < preferred.count { result.append(preferred[index]) }
            if index < others.count { result.append(others[index]) }
        }
        return result
    }
}
