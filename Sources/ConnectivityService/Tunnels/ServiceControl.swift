internal import ControlProtocol
internal import NIOCore
internal import TunnelCore

/// The service's end of a tunnel's control stream (docs/protocol.md).
final class ServiceControl: StreamReceiver {
    private let tunnel: TunnelHandler
    private unowned let owner: AcceptedTunnel
    private var stream: HTTP2Stream?
    private var lines = LineBuffer(limit: ControlStream.messageLimit)

    private init(_ tunnel: TunnelHandler, _ owner: AcceptedTunnel) {
        self.tunnel = tunnel
        self.owner = owner
    }

    static func open(on tunnel: TunnelHandler, owner: AcceptedTunnel) -> ServiceControl {
        let control = ServiceControl(tunnel, owner)
        let fields = FieldBlock(capacity: 256, fields: 8)
        fields.append(":method", "CONNECT")
        fields.append(":scheme", "https")
        fields.append(":authority", "connector")
        fields.append(":path", "/")
        fields.append(":protocol", ControlStream.protocol)
        control.stream = try? tunnel.session.openStream(fields, isEnd: false, receiver: control)
        return control
    }

    func send(_ message: ControlMessage) {
        JSONLines.encode(message).withUnsafeBytes { stream?.send(body: $0) }
    }

    /// Nothing more to say: a tunnel is over when its streams are.
    func finish() { stream?.finish(trailers: nil) }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        guard fields.text(":status") != "200" else { return }
        tunnel.close(TunnelError.control)
    }

    func streamReceived(body: UnsafeRawBufferPointer) {
        stream?.returnCredit(body.count)
        do {
            for line in try lines.append(body) where !line.isEmpty {
                owner.received(try JSONLines.decode(ControlMessage.self, line), on: tunnel)
            }
        } catch {
            tunnel.close(TunnelError.control)
        }
    }

    func streamReceived(interim fields: FieldBlock) {}
    func streamReceivedEnd(trailers: FieldBlock?) { stream?.finish(trailers: nil) }
    func streamFailed(_ failure: StreamFailure) { stream = nil }
    func streamBecameWritable() {}
    func streamBatchEnded() {}
}
