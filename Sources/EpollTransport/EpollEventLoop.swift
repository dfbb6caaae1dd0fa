internal import CEpoll
package import Dispatch
internal import Glibc
package import NIOCore
internal import Synchronization

/// One thread that waits for its sockets with epoll(7) and runs what they, timers and others give it to do.
///
/// A turn: sockets that became ready, sockets of which more can be read, timers, then tasks. What runs as a task therefore
/// sees everything that the sockets of the turn have brought.
///
/// Sockets are registered once, for everything and edge-triggered, so that nothing has to be changed between requests. Only
/// sockets of this target are; SwiftNIO's own channels need SwiftNIO's own loops.
///
/// Unchecked, as its thread owns all that changes; others come in through the mutex.
@safe package final class EpollEventLoop: EventLoop, @unchecked Sendable {
    /// What other threads have handed over.
    private struct Others {
        var tasks: [@Sendable () -> Void] = []
        var isSignalled = false
        var isStopping = false
        /// For those who wait for the end.
        var endings: [@Sendable () -> Void] = []
        /// Nothing runs any more.
        var isOver = false
    }

    private struct Slot {
        var socket: PolledSocket?
        var generation: UInt32 = 0
    }

    private let others = Mutex(Others())
    /// Says what the lock of `others` means anyway: what a thread did before it handed a task over is seen by the task. When two
    /// threads want the lock, the kernel passes it on, and the thread sanitizer does not see that.
    private let handovers = Atomic<Int>(0)
    private let poll: Poll
    private var thread = pthread_t()

    // Of the loop's thread only.
    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    private var unread: [PolledSocket] = []
    private var tasks: [@Sendable () -> Void] = []
    private var timers = LoopTimers()
    private var isStopping = false
    /// Of the loop's thread only.
    package let buffers = LoopBuffers()

    /// - Parameter name: of the thread, at most 15 bytes.
    package init(name: String) throws(IOError) {
        poll = try Poll()
        start(name)
    }

    private func start(_ name: String) {
        let box = unsafe Unmanaged.passRetained(self)
        let status = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                let loop = unsafe Unmanaged<EpollEventLoop>.fromOpaque(argument!).takeRetainedValue()
                loop.run()
                return nil
            },
            unsafe box.toOpaque()
        )
        precondition(status == 0, "a thread for an event loop could not be made")
        unsafe pthread_setname_np(thread, name)
        pthread_detach(thread)
    }

    // MARK: Tasks

    package var inEventLoop: Bool { pthread_equal(pthread_self(), thread) != 0 }

    package func execute(_ task: @escaping @Sendable () -> Void) {
        if inEventLoop { tasks.append(task) } else { hand(task) }
    }

    private func hand(_ task: @escaping @Sendable () -> Void) {
        others.withLock { others in
            guard !others.isOver else { return }
            handovers.wrappingAdd(1, ordering: .releasing)
            others.tasks.append(task)
            if !others.isSignalled { poll.wake() }
            others.isSignalled = true
        }
    }

    package func submit<T>(_ task: @escaping @Sendable () throws -> T) -> EventLoopFuture<T> {
        let promise = makePromise(of: T.self)
        execute { promise.assumeIsolated().completeWith(Result(catching: task)) }
        return promise.futureResult
    }

    @discardableResult
    package func scheduleTask<T>(
        deadline: NIODeadline,
        _ task: @escaping @Sendable () throws -> T
    ) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let timer = LoopTimer(deadline) { error in
            if let error { return promise.fail(error) }
            promise.assumeIsolated().completeWith(Result(catching: task))
        }
        if inEventLoop { timers.add(timer) } else { hand { [self] in timers.add(timer) } }
        return Scheduled(promise: promise) { [self] in
            if inEventLoop { timers.cancel(timer) } else { hand { [self] in timers.cancel(timer) } }
        }
    }

    @discardableResult
    package func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: .now() + delay, task)
    }

    // MARK: Sockets

    /// - Precondition: called on the loop, as all that follows.
    func register(_ socket: PolledSocket) throws(IOError) {
        let slot: UInt32
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = UInt32(slots.count)
            slots.append(Slot())
        }
        do throws(IOError) {
            try poll.add(socket.descriptor, UInt64(slots[Int(slot)].generation) << 32 | UInt64(slot))
        } catch {
            freeSlots.append(slot)
            throw error
        }
        slots[Int(slot)].socket = socket
        socket.slot = slot
    }

    /// Forgets a socket that is about to be closed. What epoll has still to say of it in this turn is for nobody.
    func forget(_ socket: PolledSocket) {
        guard let slot = socket.slot else { return }
        socket.slot = nil
        slots[Int(slot)].socket = nil
        slots[Int(slot)].generation &+= 1
        freeSlots.append(slot)
    }

    /// More can be read, by what epoll has said before; it will not say so again.
    func readLater(_ socket: PolledSocket) { unread.append(socket) }

    // MARK: The turn

    private func run() {
        while true {
            poll.wait(timeout) { key, events in
                if key == Poll.wakeupKey { return takeFromOthers() }
                let slot = slots[Int(key & 0xFFFF_FFFF)]
                guard slot.generation == UInt32(key >> 32), let socket = slot.socket else { return }
                socket.ready(events)
            }
            readMore()
            if timers.count > 0 {
                let now = NIODeadline.now()
                while let action = timers.takeDue(now) { action(nil) }
            }
            runTasks()
            if isStopping { return end() }
        }
    }

    /// Milliseconds that nothing will happen for as long as no socket becomes ready; -1 without an end.
    private var timeout: CInt {
        if !tasks.isEmpty || !unread.isEmpty { return 0 }
        guard let next = timers.next else { return -1 }
        let wait = (next - .now()).nanoseconds
        return wait <= 0 ? 0 : CInt(clamping: (wait + 999_999) / 1_000_000)
    }

    private func takeFromOthers() {
        let handed = others.withLock { others in
            others.isSignalled = false
            isStopping = others.isStopping
            _ = handovers.load(ordering: .acquiring)
            return exchange(&others.tasks, with: [])
        }
        tasks.append(contentsOf: handed)
    }

    private func readMore() {
        guard !unread.isEmpty else { return }
        let sockets = exchange(&unread, with: [])
        for socket in sockets { socket.readMore() }
    }

    /// Tasks and what they add, for some rounds: sockets get their turn before an endless chain of tasks does.
    private func runTasks() {
        for _ in 0..<16 where !tasks.isEmpty {
            swap(&tasks, &running)
            for task in running { task() }
            running.removeAll(keepingCapacity: running.count <= 256)
        }
    }

    /// Memory for the tasks of a round.
    private var running: [@Sendable () -> Void] = []

    // MARK: End

    /// Closes all sockets, does what is left to do and ends the thread. May be called again, also after the end.
    func stop(_ then: @escaping @Sendable () -> Void) {
        let isOver = others.withLock { others in
            guard !others.isOver else { return true }
            others.isStopping = true
            others.endings.append(then)
            // Under the lock, for the descriptor is closed once it is over.
            poll.wake()
            return false
        }
        if isOver { then() }
    }

    private func end() {
        for slot in slots { slot.socket?.loopEnds() }
        for action in timers.takeAll() { action(EventLoopError.shutdown) }
        repeat {
            takeFromOthers()
            runTasks()
        } while !tasks.isEmpty
        let (rest, endings) = others.withLock { others in
            others.isOver = true
            _ = handovers.load(ordering: .acquiring)
            poll.close()
            return (exchange(&others.tasks, with: []), exchange(&others.endings, with: []))
        }
        for task in rest { task() }
        runTasks()
        for action in timers.takeAll() { action(EventLoopError.shutdown) }
        for ending in endings { ending() }
    }

    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(EventLoopError.unsupportedOperation) }
    }

    package func next() -> any EventLoop { self }
    package func any() -> any EventLoop { self }
    package func makeIterator() -> EventLoopIterator { EventLoopIterator([self]) }

    package func preconditionInEventLoop(file: StaticString, line: UInt) {
        precondition(inEventLoop, file: file, line: line)
    }

    package func preconditionNotInEventLoop(file: StaticString, line: UInt) {
        precondition(!inEventLoop, file: file, line: line)
    }
}
