internal import AccessPolicy
internal import EpollTransport
internal import Logging
internal import NIOCore
internal import Telemetry
internal import TextFormats
internal import TunnelCore

/// What a request for WebSocket needs that others do not.
final class Upgrade {
    /// Of our own: the client's stays with the service (RFC 8441 section 5).
    let key = WebSocketKey.make()
    /// What the client sends before the internal host has switched; bounded by the stream's window.
    var early: [UInt8] = []
    var isEarlyEnd = false
    /// From the switch on.
    var pipe: StreamPipe?
    /// Virtual host and port as the client wrote them, by which the policy is asked again after a reload.
    let authority: [UInt8]

    init(authority: [UInt8]) { self.authority = authority }
}

/// A connection that lives for long, and is cut when it is exposed no more.
protocol LongConnection: AnyObject {
    var system: SystemMapping? { get }
    /// Whether the policy in force would open the same connection again.
    var isStillExposed: Bool { get }
    func cut()
}

extension ForwardedRequest: LongConnection {
    var webSocketKey: String? { upgrade?.key }

    var system: SystemMapping? { permit?.system }

    var isStillExposed: Bool {
        guard let permit, let upgrade else { return false }
        let decision = unsafe upgrade.authority.withUnsafeBytes { authority in
            unsafe permit.target.bytes.withUnsafeBytes { path in
                unsafe ForwardingDecision.make(
                    loop.policy,
                    authority: authority,
                    path: path,
                    isOptions: false,
                    isUpgrade: true
                )
            }
        }
        guard case .permitted(let now) = decision else { return false }
        return now.system.internalHost == permit.system.internalHost
            && now.system.internalPort == permit.system.internalPort
            && now.system.protocol == permit.system.protocol
    }

    func cut() { upgrade?.pipe?.cut() }

    /// From now on bytes flow.
    func switched(_ channel: any Channel, after handler: any ChannelHandler, first: ByteBuffer) throws {
        guard let upgrade, let permit else { return channel.close(promise: nil) }
        let pipe = StreamPipe(
            stream,
            .webSocket(isPeerClient: false),
            sweeper: loop.sweeper,
            idle: loop.configuration.webSocketIdle
        )
        upgrade.pipe = pipe
        stream.isTunnel = true
        pipe.onEnd = { [self] end in ended(end) }
        try channel.pipeline.syncOperations.addHandler(pipe, position: .after(handler))
        machineSwitched()
        loop.connections[ObjectIdentifier(self)] = self
        metrics.upgraded += 1
        if loop.audit.isOn {
            loop.audit.record(
                .accessAllowed,
                "Allowing an upgrade to websocket of resource \(LogText.escaped(permit.target.path)) on system "
                    + "\(permit.system.virtualAddress) [requestId=\(requestID ?? loop.requestIDs.next())]"
            )
        }
        stream.receiver = pipe
        if first.readableBytes > 0 { pipe.take(first) }
        if !upgrade.early.isEmpty {
            unsafe upgrade.early.withUnsafeBytes { unsafe pipe.streamReceived(body: $0) }
            pipe.streamBatchEnded()
            upgrade.early = []
        }
        if upgrade.isEarlyEnd { pipe.streamReceivedEnd(trailers: nil) }
        // A reload may have come between the request and its answer.
        if !isStillExposed { cut() }
    }

    private func ended(_ end: StreamPipe.End) {
        loop.connections[ObjectIdentifier(self)] = nil
        metrics.upgraded -= 1
        requestBytes = upgrade?.pipe?.bytesOut ?? 0
        responseBytes = upgrade?.pipe?.bytesIn ?? 0
        upgrade?.pipe = nil
        if loop.audit.isOn, let permit {
            let seconds = (NIODeadline.now() - started).nanoseconds / 1_000_000_000
            loop.audit.record(
                .connectionClosed,
                "WebSocket of resource \(LogText.escaped(permit.target.path)) on system "
                    + "\(permit.system.virtualAddress) ended (\(end)) after \(seconds) s, \(requestBytes) bytes in, "
                    + "\(responseBytes) bytes out"
            )
        }
        settle(end == .reset ? 0 : 101)
    }
}
