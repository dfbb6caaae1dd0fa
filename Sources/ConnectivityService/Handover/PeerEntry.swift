internal import Cryptography
internal import Logging
internal import NIOCore
internal import TunnelCore

/// A connection that another service has dialled: each stream is a request that it hands over, or a question.
final class PeerEntry: TunnelHandlerDelegate {
    private let hub: TunnelHub
    private let loop: ProxyLoop
    private let remote: String
    private let name: String

    init(_ hub: TunnelHub, _ loop: ProxyLoop, name: String, remote: String) {
        (self.hub, self.loop, self.name, self.remote) = (hub, loop, name, remote)
    }

    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {
        guard let peer = tls.peerCertificate?.service else {
            throw PeerError(description: "the certificate is not that of a service")
        }
        guard peer.text != name else {
            throw PeerError(description: "it is \(name), as this one: each service needs a name of its own")
        }
        tunnel.readsMore(AcceptedTunnel.readBuffer)
        loop.peers.add(tunnel)
    }

    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
        PeerRelay(loop, stream, hub)
    }

    func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {
        loop.peers.remove(tunnel)
        if let error, error is PeerError || error is TLSError { hub.refused("service refused", remote, error) }
    }

    func tunnelReady(_ tunnel: TunnelHandler) {}
    func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway) {}
    func tunnelShutdownSeen(_ tunnel: TunnelHandler) {}
    func tunnelIntervalPassed(_ tunnel: TunnelHandler) {}
    func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount) {}
}
