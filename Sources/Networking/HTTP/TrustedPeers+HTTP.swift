package import NIOCore
package import NIOHTTP1

extension TrustedPeers {
    /// The same for what an HTTP server has read.
    package func client(behind peer: SocketAddress?, _ headers: HTTPHeaders) -> String? {
        guard contains(peer) else { return nil }
        let (forwarded, forwardedFor) = (headers["forwarded"], headers["x-forwarded-for"])
        return client(behind: peer, forwarded: forwarded, forwardedFor: forwardedFor)?.ipAddress
    }

    /// - Returns: the address as text.
    package func client(of request: HTTPRequest) -> String {
        let peer = try? SocketAddress(ipAddress: request.remote, port: 0)
        return client(behind: peer, request.headers) ?? request.remote
    }
}
