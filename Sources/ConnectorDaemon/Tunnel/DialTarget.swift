internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// Where and how a connector dials.
struct DialerConfiguration: Sendable, Equatable {
    /// An HTTP proxy that opens connections with CONNECT (RFC 9110 section 9.3.6).
    struct Proxy: Sendable, Equatable {
        var host: String
        var port: Int
        /// Of `Proxy-Authorization: Basic`; nil where the proxy asks for nothing.
        var credentials: Credentials?
    }

    /// User and password; prints as nothing.
    struct Credentials: Sendable, Equatable, CustomStringConvertible {
        var user: String
        var password: String
        var description: String { "<redacted>" }
    }

    var host: String
    var port: Int
    /// Tunnels to each address of the service.
    var connections: Int
    var proxy: Proxy?
    var tls: TLSConfiguration
    var http2: HTTP2Configuration
    var pingInterval: TimeAmount
    var connectTimeout: TimeAmount = .seconds(10)
    var backoff = Backoff()

    var service: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Addresses behind one name that get a tunnel.
    static let addressLimit = 16
}

/// One end point that tunnels are kept up to.
struct DialTarget: Sendable, Hashable {
    /// As logs and status show it.
    var name: String
    /// Nil where a proxy resolves the name.
    var address: SocketAddress?
}

/// Names to addresses, on a thread that may wait.
enum AddressResolver {
    struct Failure: Error, CustomStringConvertible {
        var name: String
        var reason: String
        var description: String { "the name \(name) cannot be resolved: \(reason)" }
    }

    /// All addresses, IPv6 and IPv4 in turn as the system prefers them (RFC 8305 section 4), each once.
    static func resolve(_ host: String, _ port: Int) async throws -> [SocketAddress] {
        try await NIOThreadPool.singleton.runIfActive { try lookUp(host, port) }
    }

    static func lookUp(_ host: String, _ port: Int) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = Int32(AI_ADDRCONFIG)
        var result: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &result)
        guard status == 0 else { throw Failure(name: host, reason: String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(result) }
        var addresses: [SocketAddress] = []
        var next = result
        while let entry = next {
            next = entry.pointee.ai_next
            guard let raw = entry.pointee.ai_addr else { continue }
            let address: SocketAddress? =
                switch entry.pointee.ai_family {
                case AF_INET: raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee) }
                case AF_INET6: raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress($0.pointee) }
                default: nil
                }
            if let address, !addresses.contains(address) { addresses.append(address) }
        }
        guard !addresses.isEmpty else { throw Failure(name: host, reason: "it has no address") }
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
