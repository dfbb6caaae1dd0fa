internal import NIOCore
internal import Networking
internal import TunnelCore

/// Who is behind a connection, where a trusted peer stands between.
extension ProxyConnection {
    /// Who asks, for logs; nil once the connection is gone.
    var clientAddress: SocketAddress? { exchange.rare?.client ?? client ?? context?.remoteAddress }

    /// Takes a trusted peer's word for who asks.
    func noteClient(_ bytes: UnsafeRawBufferPointer) {
        let peers = loop.configuration.proxyPeers
        let peer = client ?? context?.remoteAddress
        guard peers.contains(peer) else { return }
        var (forwarded, forwardedFor): ([String], [String]) = ([], [])
        for index in 0..<parser.fieldCount where parser[index].known == .forwarded && !parser[index].hasUnderscore {
            let name = unsafe slice(bytes, parser[index].name)
            let value = unsafe String(decoding: slice(bytes, parser[index].value), as: UTF8.self)
            if unsafe Bytes.equals(name, "forwarded") { forwarded.append(value) }
            if unsafe Bytes.equals(name, "x-forwarded-for") { forwardedFor.append(value) }
        }
        guard !forwarded.isEmpty || !forwardedFor.isEmpty else { return }
        rare.client = peers.client(behind: peer, forwarded: forwarded, forwardedFor: forwardedFor)
    }
}
