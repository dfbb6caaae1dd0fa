internal import ControlProtocol
internal import JSON
internal import NIOCore
internal import TunnelCore

/// The service's end of a tunnel's control stream (docs/protocol.md).
final class ServiceControl: StreamReceiver {
    private let tunnel: TunnelHandler
    /// The tunnel's delegate, which lives as long as the tunnel; it lets go of this object when the tunnel is closed.
    private let owner: AcceptedTunnel
    private var stream: HTTP2Stream?
    private var lines = LineBuffer(limit: ControlStream.messageLimit)
    private var pace = ControlPace()
    private var isWaiting = false

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
        unsafe JSONLines.encode(message).withUnsafeBytes { unsafe stream?.send(body: $0) }
    }

    /// Nothing more to say: a tunnel is over when its streams are.
    func finish() { stream?.finish(trailers: nil) }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        guard fields.text(":status") != "200" else { return }
        tunnel.close(TunnelError.control)
    }

    func streamReceived(body: UnsafeRawBufferPointer) {
        do {
            let messages = try unsafe lines.append(body)
            let credit = pace.received(body.count, messages: messages.count, now: Self.now)
            for line in messages where !line.isEmpty {
                owner.received(try JSONLines.decode(ControlMessage.self, line), on: tunnel)
            }
            giveCredit(credit)
        } catch {
            // The rest of what has arrived is not looked at.
            stream?.cancel(.protocolError)
            stream = nil
            tunnel.close(TunnelError.control)
        }
    }

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    /// What is not given now, is later.
    private func giveCredit(_ bytes: Int) {
        if bytes > 0 { stream?.returnCredit(bytes) }
        guard pace.owed > 0, !isWaiting, stream != nil else { return }
        isWaiting = true
        let bound = NIOLoopBound(self, eventLoop: tunnel.eventLoop)
        tunnel.eventLoop.scheduleTask(in: .milliseconds(pace.pause)) {
            let control = bound.value
            control.isWaiting = false
            control.giveCredit(control.pace.timePassed(now: Self.now))
        }
    }

    func streamReceived(interim fields: FieldBlock) {}
    func streamReceivedEnd(trailers: FieldBlock?) { stream?.finish(trailers: nil) }
    func streamFailed(_ failure: StreamError) { stream = nil }
    func streamBecameWritable() {}
    func streamBatchEnded() {}
}
