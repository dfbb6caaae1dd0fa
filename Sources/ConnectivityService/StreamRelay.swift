internal import NIOCore
internal import TunnelCore

/// Joins a client connection and a tunnel that live on different event loops.
///
/// Each half is used on its own loop and passes every call to the other one as a task, in order, with copies of what
/// the call only lent. On one loop no relay is needed and none is made.
final class StreamRelay {
    /// On the client connection's loop.
    final class ClientHalf: TunnelStream {
        private let eventLoop: any EventLoop
        private let allocator: ByteBufferAllocator
        private let limit: Int
        private var tunnelHalf: UncheckedTransfer<TunnelHalf>?
        weak var receiver: (any StreamReceiver)?
        private(set) var queuedOctets = 0
        private var wasCongested = false

        init(tunnelLoop: any EventLoop, allocator: ByteBufferAllocator, limit: Int) {
            self.eventLoop = tunnelLoop
            self.allocator = allocator
            self.limit = limit
        }

        var isCongested: Bool { queuedOctets >= limit }

        fileprivate func connect(_ half: UncheckedTransfer<TunnelHalf>) { tunnelHalf = half }

        private func onTunnelLoop(_ body: @escaping @Sendable (TunnelHalf) -> Void) {
            guard let tunnelHalf else { return }
            eventLoop.execute { body(tunnelHalf.value) }
        }

        func send(head fields: FieldBlock, isEnd: Bool) {}
        func send(interim fields: FieldBlock) {}

        func send(body: UnsafeRawBufferPointer) {
            var buffer = allocator.buffer(capacity: body.count)
            buffer.writeBytes(body)
            queuedOctets += body.count
            if isCongested { wasCongested = true }
            let copy = buffer
            onTunnelLoop { $0.send(body: copy) }
        }

        func finish(trailers: FieldBlock?) {
            let copy = UncheckedTransfer(trailers?.copy())
            onTunnelLoop { $0.stream?.finish(trailers: copy.value) }
        }

        func returnCredit(_ octets: Int) { onTunnelLoop { $0.stream?.returnCredit(octets) } }

        func cancel(_ code: HTTP2ErrorCode) {
            receiver = nil
            onTunnelLoop { $0.cancel(code) }
            disconnect()
        }

        /// The halves refer to each other; once nothing more can be said, that ends.
        fileprivate func disconnect() { tunnelHalf = nil }

        fileprivate func taken(_ octets: Int) {
            queuedOctets -= octets
            guard wasCongested, queuedOctets <= limit / 2 else { return }
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

        fileprivate init(clientLoop: any EventLoop, clientHalf: NIOLoopBound<ClientHalf>) {
            self.eventLoop = clientLoop
            self.clientHalf = clientHalf
        }

        private func onClientLoop(_ body: @escaping @Sendable (ClientHalf) -> Void) {
            let clientHalf = self.clientHalf
            eventLoop.execute { body(clientHalf.value) }
        }

        func open(_ tunnel: TunnelHandler, _ fields: FieldBlock, isEnd: Bool) {
            do throws(HTTP2Error) {
                guard tunnel.isUsable else { throw HTTP2Error(.refused, "the tunnel is closing") }
                stream = try tunnel.session.openStream(fields, isEnd: isEnd, receiver: self)
            } catch {
                streamFailed(.refused)
            }
        }

        fileprivate func send(body: ByteBuffer) {
            guard let stream else {
                onClientLoop { $0.taken(body.readableBytes) }
                return
            }
            stream.send(body: body)
            let octets = body.readableBytes
            if !stream.isCongested { onClientLoop { $0.taken(octets) } } else { acknowledged += octets }
        }

        fileprivate func cancel(_ code: HTTP2ErrorCode) {
            stream?.cancel(code)
            stream = nil
        }

        func streamBecameWritable() {
            let octets = acknowledged
            acknowledged = 0
            onClientLoop { $0.taken(octets) }
        }

        func streamReceived(head fields: FieldBlock, isEnd: Bool) {
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
            buffer.writeBytes(body)
            let copy = buffer
            onClientLoop { half in
                copy.withUnsafeReadableBytes { half.receiver?.streamReceived(body: $0) }
            }
        }

        func streamReceivedEnd(trailers: FieldBlock?) {
            let copy = UncheckedTransfer(trailers?.copy())
            onClientLoop {
                $0.receiver?.streamReceivedEnd(trailers: copy.value)
                $0.disconnect()
            }
        }

        func streamFailed(_ failure: StreamFailure) {
            stream = nil
            onClientLoop {
                $0.receiver?.streamFailed(failure)
                $0.disconnect()
            }
        }

        func streamBatchEnded() { onClientLoop { $0.receiver?.streamBatchEnded() } }
    }

    /// Opens a stream on a tunnel of another event loop.
    static func open(
        _ tunnel: RegisteredTunnel,
        _ fields: FieldBlock,
        isEnd: Bool,
        receiver: any StreamReceiver,
        clientLoop: any EventLoop
    ) -> any TunnelStream {
        let client = ClientHalf(tunnelLoop: tunnel.eventLoop, allocator: ByteBufferAllocator(), limit: 128 << 10)
        client.receiver = receiver
        let bound = NIOLoopBound(client, eventLoop: clientLoop)
        let copy = UncheckedTransfer(fields.copy())
        let handler = tunnel.handler
        // The tunnel's half is made here and from then on touched on its own loop only.
        let half = UncheckedTransfer(TunnelHalf(clientLoop: clientLoop, clientHalf: bound))
        client.connect(half)
        tunnel.eventLoop.execute { half.value.open(handler.value, copy.value, isEnd: isEnd) }
        return client
    }
}

/// Carries a value that nobody else refers to from one event loop to another.
private struct UncheckedTransfer<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
