internal import AvailabilityCheck
internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TunnelCore

extension Connector: TunnelOwner {
    var drainLimit: TimeAmount { configuration.drain }

    func introduction(on tunnel: DialedTunnel) -> [ControlMessage] {
        tunnel.toldChanges.store(checker.changeCount, ordering: .releasing)
        var hello = session
        let isActive: Bool
        (isActive, hello.configuration) = current.withLock {
            ($0.configuration.tunnel.instance != nil, $0.snapshot.offer)
        }
        if isActive { hello.replicas = ControlMessage.Hello.active }
        // A question first: the service may have nothing to say any more after a hello.
        return [validity.unasked].compactMap(\.self) + [ControlMessage(hello: hello)] + exposedMessages()
    }

    func received(_ message: ControlMessage) {
        renewal.received(message)
        validity.received(message)
    }

    func tunnelReady(_ tunnel: DialedTunnel) {
        // First the state: whoever waits for the tunnel finds it there.
        state.connected(tunnel)
        tunnel.becameReady(at: WallClock.seconds())
        // What changed between the introduction and now went to the tunnels of before.
        if tunnel.toldChanges.load(ordering: .acquiring) != checker.changeCount {
            for message in exposedMessages() { tunnel.send(message) }
        }
        logger.info("tunnel connected", metadata: ["tunnel": "\(tunnel.id)", "service": "\(tunnel.target.name)"])
        audit.record(.connectionOpened, "Tunnel \(tunnel.id) to \(tunnel.target.name) opened")
    }

    func tunnelDismissed(_ tunnel: DialedTunnel) {
        guard state.isLive(tunnel) else { return }
        logger.notice(
            "the service takes a tunnel away",
            metadata: ["tunnel": "\(tunnel.id)", "cause": "\(tunnel.farewell ?? "")"]
        )
    }

    func tunnelClosed(_ tunnel: DialedTunnel, _ cause: any Error, wasReady: Bool) {
        if let error = cause as? HTTP2Error, error.code == .flood {
            state.countFlood()
            logger.warning(
                "tunnel closed for a flood",
                metadata: ["tunnel": "\(tunnel.id)", "service": "\(tunnel.target.name)", "cause": "\(error)"]
            )
            audit.record(.floodStopped, "Tunnel \(tunnel.id) to \(tunnel.target.name) closed: \(error)")
        }
        guard state.closed(tunnel) else { return }
        let text = ConnectionError(cause).cause
        logger.log(
            level: tunnel.wasRetired ? .info : Self.isFault(cause) ? .warning : .notice,
            "tunnel disconnected",
            metadata: ["tunnel": "\(tunnel.id)", "cause": "\(text)"]
        )
        audit.record(.connectionClosed, "Tunnel \(tunnel.id) to \(tunnel.target.name) closed: \(text)")
    }

    /// What comes again until somebody puts something right, unlike an end.
    private static func isFault(_ cause: any Error) -> Bool {
        switch cause {
        case is EnvoyError: true
        case let error as TLSError: error.code != .closedDuringHandshake && error.code != .truncated
        default: false
        }
    }
}
