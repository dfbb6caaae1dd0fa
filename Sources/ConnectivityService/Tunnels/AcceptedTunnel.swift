internal import ControlProtocol
internal import Cryptography
internal import HostSystem
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// A tunnel that a connector has dialled: checked once its certificate is known, registered once both sides are ready,
/// until it is gone.
final class AcceptedTunnel: TunnelHandlerDelegate {
    /// Bytes that one read of a tunnel takes.
    static let readBuffer = 256 << 10

    private let hub: TunnelHub
    private let remote: String
    /// Of the certificate, whether or not it counts.
    private var claimed: ConnectorIdentity?
    private var peer: (identity: ConnectorIdentity, certificate: CertificateDetails)?
    private var registration: (group: TunnelGroup, tunnel: RegisteredTunnel)?
    private var control: ServiceControl?
    private var isDraining = false
    private var isRenewing = false
    /// Ping intervals so far; counted no further than two.
    private var intervals = 0 { didSet { intervals = min(intervals, 2) } }

    init(hub: TunnelHub, remote: String) {
        self.hub = hub
        self.remote = remote
    }

    func tunnelEstablished(_ tunnel: TunnelHandler, _ tls: TLSEstablished) throws {
        let named = hub.settings.configuration.namedConnectors
        guard let certificate = tls.peerCertificate,
            let identity = certificate.connector
                ?? named.identity(certificate.subjectDN, serverName: tls.serverName)
        else {
            throw TunnelError.noIdentity
        }
        claimed = identity
        guard !hub.authority.isRevoked(certificate.serial) else { throw TunnelError.revoked }
        try hub.admit(identity, ObjectIdentifier(self))
        peer = (identity, certificate)
    }

    /// A certificate that runs out ends the tunnel, unless renewal has replaced both long before. A timer for that would
    /// keep the tunnel in memory until then.
    func tunnelIntervalPassed(_ tunnel: TunnelHandler) {
        guard let peer else { return }
        if peer.certificate.notAfter <= WallClock.seconds() { return tunnel.dismiss(TunnelError.certificateExpired) }
        // A peer that shows its certificate and says nothing more has a place that others may need.
        intervals += 1
        if registration == nil, !isDraining, intervals > 1 { tunnel.dismiss(TunnelError.silent) }
    }

    func tunnelReady(_ tunnel: TunnelHandler) {
        guard tunnel.dialect.hasControlStream, tunnel.session.peerAllowsExtendedConnect else {
            return register(tunnel, nil)
        }
        control = ServiceControl.open(on: tunnel, owner: self)
    }

    func tunnel(_ tunnel: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
        // The service is the HTTP/2 client; nghttp2 refuses a stream that a connector tries to open.
        nil
    }

    func tunnelDraining(_ tunnel: TunnelHandler, _ goAway: GoAway) {
        guard let registration, !isDraining else { return }
        isDraining = true
        takeOutOfUse(registration)
        hub.logger.info("tunnel draining", metadata: metadata(["tunnel": "\(registration.tunnel.id)"]))
    }

    func tunnelShutdownSeen(_ tunnel: TunnelHandler) { control?.finish() }

    func tunnel(_ tunnel: TunnelHandler, measured roundTrip: TimeAmount) { hub.roundTrip(roundTrip) }

    func tunnelClosed(_ tunnel: TunnelHandler, _ error: (any Error)?) {
        control = nil
        if let peer { hub.leave(peer.identity, ObjectIdentifier(self)) }
        hub.countClosure(RefusedConnections.kind(error))
        if let error = error as? HTTP2Error, error.code == .flood, let peer { punish(peer.identity, error) }
        if registration == nil, let error, peer == nil || error is TunnelError {
            hub.refused("tunnel refused", remote, error, connector: claimed)
        }
        unregister(error.map { "\($0)" } ?? "closed by the connector")
    }

    private func punish(_ identity: ConnectorIdentity, _ error: HTTP2Error) {
        hub.punish(identity)
        hub.logger.warning("tunnel closed for a flood", metadata: metadata(["cause": "\(error)"]))
        hub.audit.record(.floodStopped, "Tunnel of \(identity) from \(remote) closed: \(error)")
    }

    // MARK: What the connector says on the control stream

    func received(_ message: ControlMessage, on tunnel: TunnelHandler) {
        if let hello = message.hello, registration == nil { register(tunnel, hello.bounded) }
        // Also one that stands by may ask: its certificate has been looked at.
        if let serial = message.validityOf?.bounded(64), peer != nil {
            let validity = ControlMessage.Validity(serial: serial, isRevoked: hub.authority.isRevoked(serial))
            control?.send(ControlMessage(validity: validity))
        }
        guard let registration else { return }
        if let exposed = message.exposed {
            let replica = registration.tunnel.replica
            hub.registry.keep(exposed, of: registration.group, replica, hub.limits.exposedSystems)
        }
        if let changes = message.availability {
            hub.registry.apply(changes, of: registration.group, registration.tunnel.replica)
        }
        if let request = message.certificateRequest, let peer {
            renew(request, peer.identity, peer.certificate, on: tunnel.eventLoop)
        }
    }

    /// Signing and writing take their time, so another thread does it.
    private func renew(
        _ request: String,
        _ identity: ConnectorIdentity,
        _ present: CertificateDetails,
        on eventLoop: any EventLoop
    ) {
        guard !isRenewing else {
            control?.send(ControlMessage(certificateRefused: "the answer to the last request is still to come"))
            return
        }
        isRenewing = true
        let (hub, serial, instance) = (self.hub, present.serial, present.instance)
        let answer = AuthorityThreads.run(on: eventLoop) {
            do {
                let message = ControlMessage(
                    certificate: try hub.authority.renew(request, for: identity, instance: instance, with: serial)
                )
                let whose = instance.map { "\(identity), instance \($0)" } ?? "\(identity)"
                hub.audit.record(.certificateIssued, "Certificate of \(whose) renewed")
                return message
            } catch {
                hub.audit.record(.connectionRefused, "Renewal for \(identity) refused: \(error)")
                return ControlMessage(certificateRefused: "\(error)")
            }
        }
        guard let answer else {
            isRenewing = false
            control?.send(ControlMessage(certificateRefused: "too many others are waiting for certificates"))
            return
        }
        answer.assumeIsolated().whenSuccess {
            self.isRenewing = false
            self.control?.send($0)
        }
    }

    // MARK: Registration

    private func register(_ tunnel: TunnelHandler, _ hello: ControlMessage.Hello?) {
        guard registration == nil, let peer else { return }
        let result = hub.registry.register(
            tunnel,
            as: peer.identity,
            hello: hello,
            certificate: peer.certificate,
            remote: remote,
            now: WallClock.seconds()
        )
        switch result {
        case .superseded:
            tunnel.drain(TunnelError.superseded.rawValue, limit: .seconds(5))
            hub.logger.warning("tunnel refused", metadata: metadata(["cause": "\(TunnelError.superseded)"]))
        case .registered(let group, let registered, let superseded):
            registration = (group, registered)
            // What was revoked between the handshake and now was not among the tunnels that were cut.
            if hub.authority.isRevoked(peer.certificate.serial) { return tunnel.dismiss(TunnelError.revoked) }
            control?.send(ControlMessage(welcome: ControlMessage.Welcome(version: Version.current)))
            var about: Logger.Metadata = ["tunnel": "\(registered.id)"]
            if let instance = registered.replica.instance { about["instance"] = "\(instance)" }
            hub.logger.info("tunnel connected", metadata: metadata(about))
            hub.audit.record(.connectionOpened, "Tunnel \(registered.id) of \(peer.identity) opened from \(remote)")
            guard !superseded.isEmpty else { return }
            hub.logger.notice(
                "session superseded",
                metadata: metadata(["tunnels": "\(superseded.map { String($0.id) }.joined(separator: ","))"])
            )
            for old in superseded { old.drain(TunnelError.superseded.rawValue, limit: hub.drainLimit) }
        }
    }

    private func takeOutOfUse(_ registration: (group: TunnelGroup, tunnel: RegisteredTunnel)) {
        hub.registry.remove(registration.tunnel, of: registration.group, now: WallClock.seconds())
    }

    private func unregister(_ cause: String) {
        guard let registration else { return }
        self.registration = nil
        takeOutOfUse(registration)
        hub.logger.notice(
            "tunnel disconnected",
            metadata: metadata(["tunnel": "\(registration.tunnel.id)", "cause": "\(cause)"])
        )
        hub.audit.record(
            .connectionClosed,
            "Tunnel \(registration.tunnel.id) of \(registration.group.identity) closed: \(cause)"
        )
    }

    private func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
        let identity = peer?.identity
        return more.merging(
            [
                "subaccount": "\(identity?.subaccount ?? "")", "location_id": "\(identity?.locationID ?? "")",
                "remote": "\(remote)",
            ],
            uniquingKeysWith: { old, _ in old }
        )
    }
}
