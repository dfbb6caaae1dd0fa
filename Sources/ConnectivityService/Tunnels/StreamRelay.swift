internal import NIOCore
internal import TunnelCore

/// Joins a client connection and a tunnel that live on different event loops.
///
/// Each half is used on its own loop and passes every call to the other one as a task, in order, with copies of what
/// the call only lent. On one loop no relay is needed and none is made.
final class StreamRelay {
    /// On the client connection's loop.
    final class ClientHalf: TunnelStream {
        private var eventLoop: any EventLoop
        private let allocator: ByteBufferAllocator
        private let limit: Int
        private var tunnelHalf: UncheckedTransfer<TunnelHalf>?
        weak var receiver: (any StreamReceiver)?
        private(set) var queuedBytes = 0
        private var wasCongested = false
        /// Each direction ends by itself.
        private let isTunnel: Bool
        private var isFinished = false
        private var isRemoteEnded = false
        /// What was sent before the tunnel took the request: should it refuse, another one gets all of it.
        private var unconfirmed: Unconfirmed?

        struct Unconfirmed {
            var fields: FieldBlock
            /// Where else the request may go.
            var another: () -> RegisteredTunnel?
            var body: [ByteBuffer] = []
            var isFinished = false
            var trailers: FieldBlock?
        }

        init(
            tunnelLoop: any EventLoop,
            allocator: ByteBufferAllocator,
            limit: Int,
            isTunnel: Bool,
            unconfirmed: Unconfirmed?
        ) {
            self.isTunnel = isTunnel
            self.eventLoop = tunnelLoop
            self.allocator = allocator
            self.limit = limit
            self.unconfirmed = unconfirmed
        }

        var isCongested: Bool { queuedBytes >= limit }

        fileprivate func connect(_ half: UncheckedTransfer<TunnelHalf>) { tunnelHalf = half }

        private func onTunnelLoop(_ body: @escaping @Sendable (TunnelHalf) -> Void) {
            guard let tunnelHalf else { return }
            eventLoop.execute { body(tunnelHalf.value) }
        }

        func send(head fields: FieldBlock, isEnd: Bool) {}
        func send(interim fields: FieldBlock) {}

        func send(body: UnsafeRawBufferPointer) {
            var buffer = allocator.buffer(capacity: body.count)
            unsafe buffer.writeBytes(body)
            queuedBytes += body.count
            if isCongested { wasCongested = true }
            unconfirmed?.body.append(buffer)
            let copy = buffer
            onTunnelLoop { $0.send(body: copy) }
        }

        func finish(trailers: FieldBlock?) {
            unconfirmed?.isFinished = true
            unconfirmed?.trailers = trailers?.copy()
            let copy = UncheckedTransfer(trailers?.copy())
            onTunnelLoop { $0.stream?.finish(trailers: copy.value) }
            isFinished = true
            if isTunnel, isRemoteEnded { disconnect() }
        }

        /// The tunnel has taken the request.
        fileprivate func confirm() { unconfirmed = nil }

        /// The tunnel was taken away between the choice of it and the request's arrival there. Nothing of the request was
        /// sent, so another tunnel gets it from the beginning.
        fileprivate func refused(on clientLoop: any EventLoop) {
            guard let unconfirmed, let tunnel = unconfirmed.another() else {
                receiver?.streamFailed(.refused)
                return disconnect()
            }
            self.unconfirmed = nil
            let (body, isFinished, trailers) = (unconfirmed.body, unconfirmed.isFinished, unconfirmed.trailers)
            eventLoop = tunnel.eventLoop
            self.unconfirmed = Unconfirmed(fields: unconfirmed.fields, another: unconfirmed.another)
            StreamRelay.attach(
                self,
                to: tunnel,
                unconfirmed.fields,
                isEnd: false,
                isTunnel: isTunnel,
                clientLoop: clientLoop
            )
            queuedBytes = 0
            for piece in body { unsafe piece.withUnsafeReadableBytes { unsafe send(body: $0) } }
            if isFinished { finish(trailers: trailers) }
        }

        func returnCredit(_ bytes: Int) { onTunnelLoop { $0.stream?.returnCredit(bytes) } }

        func cancel(_ code: HTTP2ErrorCode) {
            receiver = nil
            onTunnelLoop { $0.cancel(code) }
            disconnect()
        }

        fileprivate func remoteEnded() {
            isRemoteEnded = true
            if !isTunnel || isFinished { disconnect() }
        }

        /// The halves refer to each other; once nothing more can be said, that ends.
        fileprivate func disconnect() { tunnelHalf = nil }

        fileprivate func taken(_ bytes: Int) {
            queuedBytes -= bytes
            guard wasCongested, queuedBytes <= limit / 2 else { return }
            wasCongested = false
            receiver?.streamBecameWritable()
        }
    }

    /// On the tunnel's loop.
    final class TunnelHalf: StreamReceiver {
        private let eventLoop: any EventLoop
        private let clientHalf: NIOLoopBound<ClientHalf>
        private let allocator = ByteBufferAllocator()
        fileprivate var stream: HTTP2Stream?
        private var acknowledged = 0
        private var isConfirmed = false

        fileprivate init(clientLoop: any EventLoop, clientHalf: NIOLoopBound<ClientHalf>) {
            self.eventLoop = clientLoop
            self.clientHalf = clientHalf
        }

        private func onClientLoop(_ body: @escaping @Sendable (ClientHalf) -> Void) {
            let clientHalf = self.clientHalf
            eventLoop.execute { body(clientHalf.value) }
        }

        func open(_ tunnel: TunnelHandler, _ fields: FieldBlock, isEnd: Bool, isTunnel: Bool) {
            do throws(HTTP2Error) {
                guard tunnel.isUsable else { throw HTTP2Error(.refused, "the tunnel is closing") }
                guard !isTunnel || tunnel.hasRoomForConnection else { throw HTTP2Error(.refused, "the tunnel is full") }
                stream = try tunnel.session.openStream(fields, isEnd: isEnd, receiver: self)
                stream?.isTunnel = isTunnel
                // After the flush that follows.
                if !isEnd {
                    let half = NIOLoopBound(self, eventLoop: tunnel.eventLoop)
                    tunnel.eventLoop.execute { half.value.confirmIfOpened() }
                }
            } catch {
                let clientLoop = eventLoop
                onClientLoop { $0.refused(on: clientLoop) }
            }
        }

        /// Until the request is on its way, the other half can still send it elsewhere.
        private func confirmIfOpened() {
            guard !isConfirmed, let stream, stream.isOpened else { return }
            isConfirmed = true
            onClientLoop { $0.confirm() }
        }

        fileprivate func send(body: ByteBuffer) {
            // Refused: the other half sends it again, elsewhere.
            guard let stream else { return }
            confirmIfOpened()
            stream.send(body: body)
            let bytes = body.readableBytes
            if !stream.isCongested { onClientLoop { $0.taken(bytes) } } else { acknowledged += bytes }
        }

        fileprivate func cancel(_ code: HTTP2ErrorCode) {
            stream?.cancel(code)
            stream = nil
        }

        func streamBecameWritable() {
            let bytes = acknowledged
            acknowledged = 0
            onClientLoop { $0.taken(bytes) }
        }

        func streamReceived(head fields: FieldBlock, isEnd: Bool) {
            confirmIfOpened()
            let copy = UncheckedTransfer(fields.copy())
            onClientLoop {
                $0.receiver?.streamReceived(head: copy.value, isEnd: isEnd)
                if isEnd { $0.disconnect() }
            }
        }

        func streamReceived(interim fields: FieldBlock) {
            let copy = UncheckedTransfer(fields.copy())
            onClientLoop { $0.receiver?.streamReceived(interim: copy.value) }
        }

        func streamReceived(body: UnsafeRawBufferPointer) {
            var buffer = allocator.buffer(capacity: body.count)
            unsafe buffer.writeBytes(body)
            let copy = buffer
            onClientLoop { half in
                unsafe copy.withUnsafeReadableBytes { unsafe half.receiver?.streamReceived(body: $0) }
            }
        }

        func streamReceivedEnd(trailers: FieldBlock?) {
            let copy = UncheckedTransfer(trailers?.copy())
            onClientLoop {
                $0.receiver?.streamReceivedEnd(trailers: copy.value)
                $0.remoteEnded()
            }
        }

        func streamFailed(_ failure: StreamError) {
            let isUnsent = failure == .refused && stream?.unsent != nil && !isConfirmed
            stream = nil
            if isUnsent {
                let clientLoop = eventLoop
                return onClientLoop { $0.refused(on: clientLoop) }
            }
            onClientLoop {
                $0.receiver?.streamFailed(failure)
                $0.disconnect()
            }
        }

        func streamBatchEnded() { onClientLoop { $0.receiver?.streamBatchEnded() } }

        func streamExpires() { onClientLoop { $0.receiver?.streamExpires() } }
    }

    /// Opens a stream on a tunnel of another event loop.
    ///
    /// - Parameter another: finds another tunnel, should this one be taken away in the meantime.
    static func open(
        _ tunnel: RegisteredTunnel,
        _ fields: FieldBlock,
        isEnd: Bool,
        isTunnel: Bool = false,
        receiver: any StreamReceiver,
        clientLoop: any EventLoop,
        another: @escaping () -> RegisteredTunnel?
    ) -> any TunnelStream {
        let client = ClientHalf(
            tunnelLoop: tunnel.eventLoop,
            allocator: ByteBufferAllocator(),
            limit: 128 << 10,
            isTunnel: isTunnel,
            // A request without a body is still whole where it came from.
            unconfirmed: isEnd ? nil : .init(fields: fields.copy(), another: another)
        )
        client.receiver = receiver
        attach(client, to: tunnel, fields, isEnd: isEnd, isTunnel: isTunnel, clientLoop: clientLoop)
        return client
    }

    private static func attach(
        _ client: ClientHalf,
        to tunnel: RegisteredTunnel,
        _ fields: FieldBlock,
        isEnd: Bool,
        isTunnel: Bool,
        clientLoop: any EventLoop
    ) {
        let bound = NIOLoopBound(client, eventLoop: clientLoop)
        let copy = UncheckedTransfer(fields.copy())
        let handler = tunnel.handler
        // The tunnel's half is made here and from then on touched on its own loop only.
        let half = UncheckedTransfer(TunnelHalf(clientLoop: clientLoop, clientHalf: bound))
        client.connect(half)
        tunnel.eventLoop.execute { half.value.open(handler.value, copy.value, isEnd: isEnd, isTunnel: isTunnel) }
    }
}

extension TunnelStream {
    /// Gives the stream another owner, whichever loop its tunnel lives on.
    func deliver(to receiver: any StreamReceiver) {
        (self as? HTTP2Stream)?.receiver = receiver
        (self as? StreamRelay.ClientHalf)?.receiver = receiver
    }
}

/// Carries a value that nobody else refers to from one event loop to another.
private struct UncheckedTransfer<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
