internal import NIOCore

/// Goes through the SOCKS5 handshake on a new connection, then lets go of it.
final class SocksConnector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: SocksClientHandshake
    /// Gets what came behind the reply.
    private let promise: EventLoopPromise<ByteBuffer>

    init(_ handshake: SocksClientHandshake, _ promise: EventLoopPromise<ByteBuffer>) {
        (self.handshake, self.promise) = (handshake, promise)
    }

    func channelActive(context: ChannelHandlerContext) {
        send(SocksClientHandshake.greeting, context)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        handshake.receive(unwrapInboundIn(data).readableBytesView)
        while let event = handshake.next() {
            switch event {
            case .send(let bytes): send(bytes, context)
            case .failed(let failure): promise.fail(failure)
            case .connected(let rest):
                let rest = context.channel.allocator.buffer(bytes: rest)
                let promise = promise
                context.pipeline.syncOperations.removeHandler(self).whenComplete { _ in promise.succeed(rest) }
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func channelInactive(context: ChannelHandlerContext) { promise.fail(SocksClientHandshake.Failure.notSocks) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    private func send(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }
}
