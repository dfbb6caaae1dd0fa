internal import NIOCore
internal import Synchronization

/// Keeps a listener from accepting more connections than configured: the rest wait in the kernel's queue instead of
/// using up memory and descriptors.
///
/// Sits in front of the accepting handler of a server channel.
final class ConnectionLimiter: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private let limit: Int
    private var count = 0
    private var isReadWanted = false
    private var isPaused = false
    private var context: ChannelHandlerContext?

    init(limit: Int) { self.limit = limit }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += 1
        let limiter = NIOLoopBound(self, eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { _ in limiter.value.closed() }
        context.fireChannelRead(data)
    }

    private func closed() {
        count -= 1
        resume()
    }

    func read(context: ChannelHandlerContext) {
        if count < limit, !isPaused { context.read() } else { isReadWanted = true }
    }

    /// Out of descriptors or memory: accepting again at once would only burn the processor.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isPaused = true
        let limiter = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(500)) {
            limiter.value.isPaused = false
            limiter.value.resume()
        }
        context.fireErrorCaught(error)
    }

    private func resume() {
        guard isReadWanted, count < limit, !isPaused else { return }
        isReadWanted = false
        context?.read()
    }
}
