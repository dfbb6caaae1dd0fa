package import Dispatch
package import NIOCore
internal import Synchronization

/// Event loops that share the work.
package final class EpollEventLoopGroup: EventLoopGroup {
    package let loops: [EpollEventLoop]
    private let turn = Atomic<Int>(0)

    /// - Parameter name: that threads are called by, with a number behind it.
    /// - Throws: where the process has no descriptors left.
    package init(_ count: Int, name: String) throws(IOError) {
        var loops: [EpollEventLoop] = []
        for index in 0..<max(1, count) { loops.append(try EpollEventLoop(name: "\(name) \(index)")) }
        self.loops = loops
    }

    package func nextLoop() -> EpollEventLoop {
        loops[Int(bitPattern: UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(loops.count))]
    }

    package func next() -> any EventLoop { nextLoop() }
    package func any() -> any EventLoop { loops[0] }
    package func makeIterator() -> EventLoopIterator { EventLoopIterator(loops) }

    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        let group = DispatchGroup()
        for loop in loops {
            group.enter()
            loop.stop { group.leave() }
        }
        group.notify(queue: queue) { callback(nil) }
    }
}
