internal import ControlProtocol
internal import Cryptography
internal import EpollTransport
internal import JSON
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TextFormats
internal import TunnelCore

/// One tunnel from the dialling to its end, as tasks see it.
final class DialedTunnel: Sendable {
    let id: Int
    let fleet: Int
    let target: DialTarget
    private let ready: EventLoopPromise<Void>
    private let closed: EventLoopPromise<Void>
    private let handler = Mutex<NIOLoopBound<TunnelHandler>?>(nil)
    private let control = Mutex<NIOLoopBound<ConnectorControl>?>(nil)
    private let measured = Mutex<TimeAmount?>(nil)
    private let reason = Mutex<String?>(nil)
    private let since = Mutex<Int>(0)
    private let isRetired = Atomic<Bool>(false)
    /// Of the availability that the service was told of first.
    let toldChanges = Atomic<Int>(0)
    let eventLoop: EpollEventLoop

    init(id: Int, fleet: Int, target: DialTarget, eventLoop: EpollEventLoop) {
        self.id = id
        self.fleet = fleet
        self.target = target
        self.eventLoop = eventLoop
        ready = eventLoop.makePromise()
        closed = eventLoop.makePromise()
    }

    /// Returns once requests come through it.
    func waitUntilReady() async throws { try await ready.futureResult.get() }
    func waitUntilClosed() async { try? await closed.futureResult.get() }

    var roundTrip: TimeAmount? { measured.withLock { $0 } }
    var connectedSince: Int { since.withLock { $0 } }
    /// Why the service sent it away, if it did.
    var farewell: String? { reason.withLock { $0 } }
    var hasControl: Bool { control.withLock { $0 != nil } }

    func attach(_ handler: TunnelHandler) {
        self.handler.withLock { $0 = NIOLoopBound(handler, eventLoop: eventLoop) }
    }
    func attach(_ control: ConnectorControl) {
        self.control.withLock { $0 = NIOLoopBound(control, eventLoop: eventLoop) }
    }
    func measured(_ time: TimeAmount) { measured.withLock { $0 = time } }
    func dismissed(_ reason: String) { self.reason.withLock { $0 = reason } }

    func becameReady(at seconds: Int) {
        since.withLock { $0 = seconds }
        ready.succeed()
    }

    func ended(_ error: any Error) {
        handler.withLock { $0 = nil }
        control.withLock { $0 = nil }
        ready.fail(error)
        closed.succeed()
    }

    var wasRetired: Bool { isRetired.load(ordering: .relaxed) }

    // MARK: From any thread

    func send(_ message: ControlMessage) {
        guard let control = control.withLock({ $0 }) else { return }
        eventLoop.execute { control.value.send(message) }
    }

    /// Takes it out of use; requests in flight have until `limit`.
    func drain(limit: TimeAmount) {
        isRetired.store(true, ordering: .relaxed)
        guard let handler = handler.withLock({ $0 }) else { return }
        eventLoop.execute { handler.value.drain(limit: limit) }
    }

    /// Time since the service was heard; nil where that is no news.
    func silence() async -> TimeAmount? {
        guard let handler = handler.withLock({ $0 }) else { return nil }
        return (try? await eventLoop.submit { handler.value.silence }.get()) ?? nil
    }

    func streamCount() async -> Int {
        guard let handler = handler.withLock({ $0 }) else { return 0 }
        let controls = hasControl ? 1 : 0
        return (try? await eventLoop.submit { max(0, handler.value.session.streamCount - controls) }.get()) ?? 0
    }
}

/// A tunnel as the connector serves it: every stream becomes a `ForwardedRequest`, except the control stream.
final class ServedTunnel: TunnelHandlerDelegate, RequestTunnel {
    private let loop: ConnectorLoop
    private let tunnel: DialedTunnel
    private let owner: any TunnelOwner
    private var control: ConnectorControl?
    private var staticTimer: Scheduled<Void>?
    private var responses = 0
    private var isReady = false
    /// Requests that were reset and whose connection to an internal host is still being opened.
    private var orphans = 0

    init(loop: ConnectorLoop, tunnel: DialedTunnel, owner: any TunnelOwner) {
        self.loop = loop
        self.tunnel = tunnel
        self.owner = owner
    }

    func takesTimes() -> Bool {
        responses &+= 1
        return responses & 15 == 1 && control != nil
    }

    func tunnelEstablished(_ handler: TunnelHandler, _ tls: TLSEstablished) throws { tunnel.attach(handler) }

    func tunnelReady(_ handler: TunnelHandler) {
        guard handler.dialect.hasControlStream else { return becomeReady() }
        // An edge without a control stream says nothing more.
        let bound = NIOLoopBound(self, eventLoop: handler.eventLoop)
        staticTimer = handler.eventLoop.scheduleTask(in: .seconds(1)) { bound.value.becomeReady() }
    }

    /// A request that was reset keeps its place until its connection to the internal host is gone: opening and resetting
    /// requests opens no more connections than waiting for them would.
    func tunnel(_ handler: TunnelHandler, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
        let session = handler.session
        guard session.streamCount + orphans <= session.configuration.maxConcurrentStreams else { return nil }
        return ForwardedRequest(loop: loop, stream: stream, tunnel: self)
    }

    func keepPlace() { orphans += 1 }
    func givePlaceBack() { orphans -= 1 }

    /// - Returns: nil where there is one already.
    func openControl(_ stream: HTTP2Stream) -> (any StreamReceiver)? {
        guard control == nil else {
            stream.cancel(.refusedStream)
            return nil
        }
        staticTimer?.cancel()
        let control = ConnectorControl(stream, owner: owner, tunnel: self, eventLoop: loop.eventLoop)
        self.control = control
        tunnel.attach(control)
        for message in owner.introduction(on: tunnel) { control.send(message) }
        return control
    }

    func becomeReady() {
        guard !isReady else { return }
        isReady = true
        owner.tunnelReady(tunnel)
    }

    func tunnelShutdownSeen(_ handler: TunnelHandler) { control?.finish() }

    func tunnelIntervalPassed(_ handler: TunnelHandler) {}

    func tunnelDraining(_ handler: TunnelHandler, _ goAway: GoAway) {
        tunnel.dismissed(LogText.escaped(goAway.reason))
        control?.finish()
        owner.tunnelDismissed(tunnel)
    }

    func tunnel(_ handler: TunnelHandler, measured roundTrip: TimeAmount) { tunnel.measured(roundTrip) }

    func tunnelClosed(_ handler: TunnelHandler, _ error: (any Error)?) {
        staticTimer?.cancel()
        control = nil
        let farewell = tunnel.farewell.flatMap { $0.isEmpty ? nil : $0 }
        let reason = farewell.map { "the service says: \($0)" }
        let own = tunnel.wasRetired ? "taken away by this connector" : "closed by the service"
        let cause: any Error = error ?? TLSError(.closedDuringHandshake, reason ?? own)
        owner.tunnelClosed(tunnel, cause, wasReady: isReady)
        tunnel.ended(cause)
    }
}

/// What a tunnel tells the connector it belongs to. Calls come on the tunnel's event loop.
protocol TunnelOwner: AnyObject, Sendable {
    /// For requests in flight on a tunnel that is taken away.
    var drainLimit: TimeAmount { get }
    /// What the service is told first.
    func introduction(on tunnel: DialedTunnel) -> [ControlMessage]
    func received(_ message: ControlMessage)
    func tunnelReady(_ tunnel: DialedTunnel)
    func tunnelDismissed(_ tunnel: DialedTunnel)
    func tunnelClosed(_ tunnel: DialedTunnel, _ cause: any Error, wasReady: Bool)
}

/// The connector's end of a tunnel's control stream (docs/protocol.md).
final class ConnectorControl: StreamReceiver {
    private let stream: HTTP2Stream
    private let eventLoop: any EventLoop
    private let owner: any TunnelOwner
    /// Lets go of this object when the tunnel is closed.
    private let tunnel: ServedTunnel
    private var lines = LineBuffer(limit: ControlStream.messageLimit)
    private var pace = ControlPace()
    private var isWaiting = false

    init(_ stream: HTTP2Stream, owner: any TunnelOwner, tunnel: ServedTunnel, eventLoop: any EventLoop) {
        self.stream = stream
        self.eventLoop = eventLoop
        self.owner = owner
        self.tunnel = tunnel
        let fields = FieldBlock(capacity: 64, fields: 2)
        fields.append(status: 200)
        stream.send(head: fields, isEnd: false)
    }

    func send(_ message: ControlMessage) {
        unsafe JSONLines.encode(message).withUnsafeBytes { unsafe stream.send(body: $0) }
    }

    /// Nothing more to say: a tunnel is over when its streams are.
    func finish() { stream.finish(trailers: nil) }

    func streamReceived(body: UnsafeRawBufferPointer) {
        do {
            let messages = try unsafe lines.append(body)
            let credit = pace.received(body.count, messages: messages.count, now: Self.now)
            defer { giveCredit(credit) }
            for line in messages where !line.isEmpty {
                let message = try JSONLines.decode(ControlMessage.self, line)
                if message.welcome != nil { tunnel.becomeReady() }
                owner.received(message)
            }
        } catch {
            stream.cancel(.protocolError)
        }
    }

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    /// What is not given now, is later.
    private func giveCredit(_ bytes: Int) {
        if bytes > 0 { stream.returnCredit(bytes) }
        guard pace.owed > 0, !isWaiting, !stream.isClosed else { return }
        isWaiting = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .milliseconds(pace.pause)) {
            let control = bound.value
            control.isWaiting = false
            control.giveCredit(control.pace.timePassed(now: Self.now))
        }
    }

    func streamReceived(head fields: FieldBlock, isEnd: Bool) {}
    func streamReceived(interim fields: FieldBlock) {}
    func streamReceivedEnd(trailers: FieldBlock?) { stream.finish(trailers: nil) }
    func streamFailed(_ failure: StreamError) {}
    func streamBecameWritable() {}
    func streamBatchEnded() {}
}
