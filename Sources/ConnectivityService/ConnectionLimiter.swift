internal import Glibc
package import NIOCore
internal import Synchronization

/// Keeps a listener from accepting more connections than configured: the rest wait in the kernel's queue instead of
/// using up memory and descriptors.
///
/// Sits in front of the accepting handler of a server channel.
package final class ConnectionLimiter: ChannelInboundHandler, ChannelOutboundHandler {
    package typealias InboundIn = any Channel
    package typealias OutboundIn = any Channel

    private var limit: Int
    private var count = 0
    private var isReadWanted = false
    private var isPaused = false
    private var context: ChannelHandlerContext?

    package init(limit: Int) { self.limit = limit }

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += 1
        let limiter = NIOLoopBound(self, eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { _ in limiter.value.closed() }
        context.fireChannelRead(data)
    }

    private func closed() {
        count -= 1
        resume()
    }

    /// Connections beyond a lower limit stay; only new ones wait.
    func setLimit(_ limit: Int) {
        self.limit = limit
        resume()
    }

    package func read(context: ChannelHandlerContext) {
        if count < limit, !isPaused { context.read() } else { isReadWanted = true }
    }

    /// Out of descriptors or memory: accepting again at once would only burn the processor.
    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
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

/// How many descriptors the process may use for connections: what the system allows, less some that are kept for
/// tunnels, files and the admin socket.
package enum DescriptorLimit {
    /// Kept back.
    package static let reserve = 48

    /// - Parameter wanted: a configured number of connections.
    package static func cap(_ wanted: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
        let allowed = Int(clamping: limit.rlim_cur)
        return min(wanted, max(8, allowed - reserve))
    }
}
