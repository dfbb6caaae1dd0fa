internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// A request that another service hands over, because a connector has its tunnels here: joined with a stream of one of them, byte for byte.
///
/// It goes to tunnels of this service only, never to a third one: that is what keeps it from going round in circles.
final class PeerRelay: StreamReceiver {
    private let loop: ProxyLoop
    private let hub: TunnelHub
    /// Of the service that hands over.
    private let inbound: HTTP2Stream
    private var answer: Answer?
    private var tunnel: RegisteredTunnel?
    private var place: Replica.Place?
    private var refusedBy: [Int] = []
    /// Until it is answered: another tunnel may take it.
    private var head: (group: TunnelGroup, fields: FieldBlock, isEnd: Bool)?
    /// Bytes of the request that the tunnel has not taken yet.
    private var uncredited = 0
    private var isConnect = false
    private var isOver = false

    init(_ loop: ProxyLoop, _ inbound: HTTP2Stream, _ hub: TunnelHub) {
        (self.loop, self.inbound, self.hub) = (loop, inbound, hub)
        loop.peers.relayCount += 1
    }

    deinit { loop.peers.relayCount -= 1 }

    // MARK: From the other service

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {
        guard let request = PeerHead.read(fields, into: loop.fields) else {
            // What clients send always has the connector's name.
            return PeerQuestion.answer(fields, inbound, hub, loop.peers.eventLoop)
        }
        loop.peers.receivedCount += 1
        isConnect = fields.text(":method") == "CONNECT"
        guard let group = hub.registry.group(request.connector) else { return giveUp(.refusedStream) }
        head = (group, loop.fields.copy(), isEnd)
        open(group, loop.fields, isEnd, pinned: request.pinned)
    }

    private func open(_ group: TunnelGroup, _ fields: FieldBlock, _ isEnd: Bool, pinned: Int? = nil) {
        let eventLoop = loop.peers.eventLoop
        let chosen = pinned.flatMap { id in group.all().first { $0.id == id } }
        guard let tunnel = chosen ?? group.pick(on: eventLoop, excluding: refusedBy) else {
            return giveUp(.refusedStream)
        }
        let answer = Answer(self)
        (self.tunnel, self.answer) = (tunnel, answer)
        place = Replica.Place(tunnel.replica)
        guard tunnel.eventLoop === eventLoop else {
            answer.outbound = StreamRelay.open(
                tunnel,
                fields,
                isEnd: isEnd,
                isTunnel: isConnect,
                receiver: answer,
                clientLoop: eventLoop,
                another: { [weak self] in self?.another(group, than: tunnel) }
            )
            return
        }
        let handler = tunnel.handler.value
        let hasRoom =
            handler.session.streamCount
            < handler.session.peerMaxConcurrentStreams + loop.configuration.maxWaiting
        guard handler.isUsable, isConnect ? handler.hasRoomForConnection : hasRoom,
            let opened = try? handler.session.openStream(fields, isEnd: isEnd, receiver: answer)
        else { return openElsewhere(group, fields, isEnd) }
        opened.isTunnel = isConnect
        answer.outbound = opened
    }

    /// For a request that the chosen tunnel, of another event loop, could not take any more.
    private func another(_ group: TunnelGroup, than refused: RegisteredTunnel) -> RegisteredTunnel? {
        guard let tunnel, refusedBy.count < ProxyConnection.StateMachine.maxAttempts else { return nil }
        refusedBy.append(tunnel.id)
        // The relay goes on with it on that tunnel's loop, whichever it is.
        guard let next = group.pick(on: loop.peers.eventLoop, excluding: refusedBy) else { return nil }
        self.tunnel = next
        place = Replica.Place(next.replica)
        return next
    }

    private func openElsewhere(_ group: TunnelGroup, _ fields: FieldBlock, _ isEnd: Bool) {
        guard let tunnel else { return giveUp(.refusedStream) }
        refusedBy.append(tunnel.id)
        open(group, fields, isEnd)
    }

    func streamReceived(interim fields: FieldBlock) {}

    func streamReceived(body: UnsafeRawBufferPointer) {
        guard let outbound = answer?.outbound else { return inbound.returnCredit(body.count) }
        unsafe outbound.send(body: body)
        if outbound.isCongested { uncredited += body.count } else { inbound.returnCredit(body.count) }
    }

    func streamReceivedEnd(trailers: FieldBlock?) { answer?.outbound?.finish(trailers: trailers) }

    func streamFailed(_ failure: StreamError) {
        answer?.outbound?.cancel(.cancel)
        finish()
    }

    /// The other service takes more of the answer.
    func streamBecameWritable() { answer?.giveCredit() }
    func streamBatchEnded() {}
    func streamExpires() {}

    // MARK: From the tunnel

    fileprivate func takesMore() {
        inbound.returnCredit(uncredited)
        uncredited = 0
    }

    fileprivate func received(head fields: FieldBlock, isEnd: Bool) {
        head = nil
        let marks = isConnect && !isEnd && tunnel?.dialect == .haproxy
        PeerHead.write(fields, into: loop.fields, tunnel: tunnel?.id ?? 0, isSwitch: marks)
        if isConnect, !isEnd, unsafe fields.value(0).first == UInt8(ascii: "2") { inbound.isTunnel = true }
        inbound.send(head: loop.fields, isEnd: isEnd)
        guard isEnd else { return }
        if !inbound.isRemoteEnded { answer?.outbound?.cancel(.cancel) }
        finish()
    }

    fileprivate func received(interim fields: FieldBlock) { inbound.send(interim: fields) }

    /// - Returns: whether its credit may go back at once.
    fileprivate func received(body: UnsafeRawBufferPointer) -> Bool {
        unsafe inbound.send(body: body)
        return !inbound.isCongested
    }

    fileprivate func receivedEnd(_ trailers: FieldBlock?) {
        inbound.finish(trailers: trailers)
        // A connection may go on in the other direction.
        guard !inbound.isTunnel || inbound.isRemoteEnded else { return }
        // An answer before the end of the request: the rest of that is not wanted.
        if !inbound.isRemoteEnded { answer?.outbound?.cancel(.cancel) }
        finish()
    }

    /// - Parameter unsent: the whole body so far, where nothing of it has gone out.
    fileprivate func failed(_ failure: StreamError, _ unsent: HTTP2Stream.Unsent?) {
        guard !isOver else { return }
        if failure == .refused, let head, refusedBy.count < ProxyConnection.StateMachine.maxAttempts,
            head.isEnd || unsent != nil
        {
            openElsewhere(head.group, head.fields, head.isEnd)
            guard let unsent, let outbound = answer?.outbound else { return }
            for piece in unsent.body { unsafe piece.withUnsafeReadableBytes { unsafe outbound.send(body: $0) } }
            if unsent.isFinished { outbound.finish(trailers: unsent.trailers) }
            return
        }
        switch failure {
        case .refused: giveUp(.refusedStream)
        case .reset(let code): giveUp(HTTP2ErrorCode(rawValue: code) ?? .internalError)
        case _ where inbound.hasSentHead: giveUp(.internalError)
        default: refuse(ProxyConnection.refusal(for: failure))
        }
    }

    // MARK: Ending

    private func giveUp(_ code: HTTP2ErrorCode) {
        inbound.cancel(code)
        finish()
    }

    private func finish() {
        isOver = true
        head = nil
        place = nil
        answer = nil
    }

    /// The other service cannot know what became of the tunnel.
    private func refuse(_ refusal: Refusal) {
        let fields = loop.fields
        fields.removeAll()
        fields.append(status: refusal.status)
        fields.append("content-type", "text/plain; charset=utf-8")
        fields.append("content-length", String(refusal.text.utf8.count + 1))
        fields.append("proxy-status", refusal.proxyStatusField(by: "connectivity-service"))
        fields.append("date", WallClock.httpDate())
        inbound.send(head: fields, isEnd: false)
        var text = refusal.text + "\n"
        text.withUTF8 { unsafe inbound.send(body: UnsafeRawBufferPointer($0)) }
        inbound.finish(trailers: nil)
        finish()
    }

    /// What the tunnel's stream tells. The relay lives as long as the other service's stream.
    fileprivate final class Answer: StreamReceiver {
        private weak var relay: PeerRelay?
        var outbound: (any TunnelStream)?
        private var uncredited = 0

        init(_ relay: PeerRelay) { self.relay = relay }

        func giveCredit() {
            outbound?.returnCredit(uncredited)
            uncredited = 0
        }

        func streamReceived(head fields: FieldBlock, isEnd: Bool) { relay?.received(head: fields, isEnd: isEnd) }
        func streamReceived(interim fields: FieldBlock) { relay?.received(interim: fields) }

        func streamReceived(body: UnsafeRawBufferPointer) {
            guard let relay else { return }
            if unsafe relay.received(body: body) {
                outbound?.returnCredit(body.count)
            } else {
                uncredited += body.count
            }
        }

        func streamReceivedEnd(trailers: FieldBlock?) { relay?.receivedEnd(trailers) }

        func streamFailed(_ failure: StreamError) {
            let unsent = (outbound as? HTTP2Stream)?.unsent
            outbound = nil
            relay?.failed(failure, unsent)
        }

        func streamBecameWritable() { relay?.takesMore() }
        func streamBatchEnded() {}
    }
}
