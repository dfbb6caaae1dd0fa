internal import Logging
internal import NIOCore
internal import TunnelCore

/// A tunnel that a connector has dialled: registered once its certificate is known, until it is gone.
final class AcceptedTunnel: TunnelHandlerDelegate {
    private let registry: TunnelRegistry
    private let logger: Logger
    private let remote: String
    private var registration: (group: TunnelGroup, tunnel: RegisteredTunnel)?

    init(registry: TunnelRegistry, logger: Logger, remote: String) {
        self.registry = registry
        self.logger = logger
        self.remote = remote
    }

    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {
        guard let identity = tls.peerURIs.lazy.compactMap({ ConnectorIdentity(uri: $0) }).first else {
            throw TunnelError.noIdentity
        }
        let registration = registry.register(tunnel, as: identity)
        self.registration = registration
        logger.info(
            "tunnel connected",
            metadata: [
                "subaccount": "\(identity.subaccount)", "location_id": "\(identity.locationID)",
                "remote": "\(remote)", "tunnel": "\(registration.1.id)", "tls": "\(tls.version)",
            ]
        )
    }

    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> any StreamReceiver {
        // The service is the HTTP/2 client; nghttp2 refuses a stream that a connector tries to open.
        preconditionFailure("a client session accepts no streams")
    }

    func tunnelDraining(_ tunnel: TunnelHandler) { unregister("tunnel draining", nil) }

    func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {
        if registration == nil, let error {
            logger.warning("tunnel refused", metadata: ["remote": "\(remote)", "cause": "\(error)"])
        }
        unregister("tunnel disconnected", error)
    }

    private func unregister(_ event: Logger.Message, _ error: (any Error)?) {
        guard let registration else { return }
        self.registration = nil
        registration.group.remove(registration.tunnel.id)
        let identity = registration.group.identity
        logger.notice(
            event,
            metadata: [
                "subaccount": "\(identity.subaccount)", "location_id": "\(identity.locationID)",
                "tunnel": "\(registration.tunnel.id)", "cause": "\(error.map { "\($0)" } ?? "closed by the connector")",
            ]
        )
    }
}
