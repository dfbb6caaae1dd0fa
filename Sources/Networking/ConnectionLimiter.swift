internal import Glibc
package import NIOCore
internal import Synchronization

/// Whether a listener has so many connections that idle ones are in the way. Read from every event loop.
package final class ListenerLoad: Sendable {
    private let crowded = Atomic<Bool>(false)
    private let refused = Atomic<Int>(0)
    private let exhausted = Atomic<Int>(0)
    private let open = Atomic<Int>(0)
    private let places = Atomic<Int>(0)

    package init() {}

    /// Connections at the moment, those before any handshake included.
    package var connections: Int { open.load(ordering: .relaxed) }
    /// Connections that there may be; 0 before the listener is open.
    package var limit: Int { places.load(ordering: .relaxed) }

    /// Three quarters of the places are taken, or those of one address: who says nothing has ten seconds.
    package var isCrowded: Bool { crowded.load(ordering: .relaxed) }
    /// Connections closed at once because their address had its share.
    package var refusedConnections: Int { refused.load(ordering: .relaxed) }
    /// Times at which the process was out of descriptors.
    package var exhaustions: Int { exhausted.load(ordering: .relaxed) }

    fileprivate func add(_ count: Int) {
        open.wrappingAdd(count, ordering: .relaxed)
    }

    fileprivate func setLimit(_ limit: Int) { places.store(limit, ordering: .relaxed) }
    fileprivate func setCrowded(_ value: Bool) { crowded.store(value, ordering: .relaxed) }
    fileprivate func countRefused() { refused.wrappingAdd(1, ordering: .relaxed) }
    fileprivate func countExhausted() { exhausted.wrappingAdd(1, ordering: .relaxed) }
}

/// What a listener has to tell a log, each at most once in ten seconds.
package enum ListenerEvent: Sendable {
    /// An address has all the places it may have; `count` of `limit`.
    case addressAtShare(String, count: Int, limit: Int)
    /// All places are taken; who comes now waits unaccepted.
    case full(limit: Int)
    /// No descriptors are left; what wants to connect waits.
    case outOfDescriptors(String)
}

/// Keeps a listener from accepting more connections than configured: the rest wait in the kernel's queue instead of
/// using up memory and descriptors. No address gets more than three quarters of the places, so a crowd from one leaves some
/// to all others.
///
/// Sits in front of the accepting handler of a server channel.
package final class ConnectionLimiter: ChannelInboundHandler, ChannelOutboundHandler {
    package typealias InboundIn = any Channel
    package typealias OutboundIn = any Channel

    private var limit: Int
    private var count = 0
    private var counts: [ClientAddress: Int] = [:]
    private var isReadWanted = false
    private var isPaused = false
    private var isExhausted = false
    private var lastTold: [Int: NIODeadline] = [:]
    private var context: ChannelHandlerContext?
    private let load: ListenerLoad
    private let mayAccept: @Sendable () -> Bool
    private let tell: (@Sendable (ListenerEvent) -> Void)?

    /// With fewer places than this, sharing them out would leave nothing.
    private static let smallestShared = 16
    /// Between two attempts while there are no descriptors. Recovery takes no longer.
    private static let pause = TimeAmount.milliseconds(250)
    private static let tellInterval = TimeAmount.seconds(10)

    package init(
        limit: Int,
        load: ListenerLoad = ListenerLoad(),
        mayAccept: @escaping @Sendable () -> Bool = { true },
        tell: (@Sendable (ListenerEvent) -> Void)? = nil
    ) {
        self.limit = limit
        self.load = load
        self.mayAccept = mayAccept
        self.tell = tell
        load.setLimit(limit)
    }

    /// Places that one address may have.
    private var share: Int { limit < Self.smallestShared ? limit : limit - limit / 4 }

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isExhausted = false
        let channel = unwrapInboundIn(data)
        let address = ClientAddress(channel.remoteAddress)
        guard mayAccept() else {
            load.countRefused()
            return channel.close(promise: nil)
        }
        if let address, counts[address, default: 0] >= share {
            return refuse(channel, counts[address, default: 0])
        }
        count += 1
        load.add(1)
        if let address { counts[address, default: 0] += 1 }
        updateLoad(address)
        let limiter = NIOLoopBound(self, eventLoop: context.eventLoop)
        channel.closeFuture.hop(to: context.eventLoop).whenComplete { _ in limiter.value.closed(address) }
        context.fireChannelRead(data)
    }

    private func refuse(_ channel: any Channel, _ count: Int) {
        load.countRefused()
        if mayTell(0) {
            tell?(.addressAtShare(channel.remoteAddress?.ipAddress ?? "", count: count, limit: limit))
        }
        channel.close(promise: nil)
    }

    private func closed(_ address: ClientAddress?) {
        count -= 1
        load.add(-1)
        if let address, let own = counts[address] { counts[address] = own > 1 ? own - 1 : nil }
        updateLoad(nil)
        resume()
    }

    private func updateLoad(_ address: ClientAddress?) {
        let isFull = count >= max(1, limit - limit / 4)
        if isFull || address.map({ counts[$0, default: 0] >= share }) ?? false {
            load.setCrowded(true)
        } else if load.isCrowded, count < limit / 2 {
            load.setCrowded(false)
        }
    }

    private func mayTell(_ kind: Int) -> Bool {
        let now = NIODeadline.now()
        if let last = lastTold[kind], now - last < Self.tellInterval { return false }
        lastTold[kind] = now
        return true
    }

    /// Connections beyond a lower limit stay; only new ones wait.
    package func setLimit(_ limit: Int) {
        self.limit = limit
        load.setLimit(limit)
        resume()
    }

    package func read(context: ChannelHandlerContext) {
        if count < limit, !isPaused { return context.read() }
        isReadWanted = true
        if !isPaused, mayTell(2) { tell?(.full(limit: limit)) }
    }

    /// Out of descriptors or memory. The socket stays readable, so the channel is told not to look at it for a while:
    /// accepting again at once would only burn the processor.
    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isExhausted {
            isExhausted = true
            load.countExhausted()
            load.setCrowded(true)
            if mayTell(1) { tell?(.outOfDescriptors("\(error)")) }
        }
        guard !isPaused else { return }
        isPaused = true
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        let bound = NIOLoopBound((self, context.channel), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (limiter, channel) = bound.value
            limiter.isPaused = false
            try? channel.syncOptions?.setOption(.autoRead, value: true)
            limiter.resume()
        }
    }

    private func resume() {
        guard isReadWanted, count < limit, !isPaused else { return }
        isReadWanted = false
        context?.read()
    }
}
