package import NIOCore

/// Something with a time limit.
package protocol DeadlineObserver: AnyObject {
    /// Where the sweeper keeps it; -1 when it does not.
    var sweepIndex: Int { get set }
    /// Called once per tick.
    func sweep(_ tick: Int)
}

/// One slow clock per event loop for all time limits of its connections, so that a request neither reads a clock nor
/// makes a timer. Limits are kept to within one tick.
package final class DeadlineSweeper {
    /// Milliseconds.
    package static let tickLength = 250

    /// Ticks since the loop began.
    package private(set) var tick = 0
    private var observers: [any DeadlineObserver] = []
    private var task: RepeatedTask?

    package init() {}

    /// To be called on `eventLoop`.
    package func start(on eventLoop: any EventLoop) {
        let sweeper = NIOLoopBound(self, eventLoop: eventLoop)
        let interval = TimeAmount.milliseconds(Int64(Self.tickLength))
        task = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in sweeper.value.sweep() }
    }

    /// Ends the ticks.
    package func stop() { task?.cancel() }

    /// The first tick at which `limit` has passed.
    package func deadline(in limit: TimeAmount) -> Int { tick + Self.ticks(limit) }

    /// `limit` in ticks, rounded up; worked out once, it saves each request the divisions.
    package static func ticks(_ limit: TimeAmount) -> Int {
        1 + Int(limit.nanoseconds / 1_000_000) / tickLength
    }

    /// Has an observer asked with each tick, and keeps it until it is removed.
    package func add(_ observer: any DeadlineObserver) {
        guard observer.sweepIndex < 0 else { return }
        observer.sweepIndex = observers.count
        observers.append(observer)
    }

    /// Asks it no more.
    package func remove(_ observer: any DeadlineObserver) {
        let index = observer.sweepIndex
        guard index >= 0 else { return }
        observer.sweepIndex = -1
        let last = observers.removeLast()
        if index < observers.count {
            observers[index] = last
            last.sweepIndex = index
        }
    }

    func sweep() {
        tick += 1
        // Backwards, because an observer may remove itself, and then the last one takes its place.
        var index = observers.count - 1
        while index >= 0 {
            if index < observers.count { observers[index].sweep(tick) }
            index -= 1
        }
    }
}

/// One value for each event loop of a group, used only on that loop.
package struct PerLoop<Value>: Sendable {
    private let values: [ObjectIdentifier: NIOLoopBound<Value>]

    /// Makes a value on each event loop.
    package static func make<Loop: EventLoop>(
        _ loops: [Loop],
        _ make: @escaping @Sendable (Loop) -> Value
    ) async throws -> PerLoop<Value> {
        var values: [ObjectIdentifier: NIOLoopBound<Value>] = [:]
        for loop in loops {
            values[ObjectIdentifier(loop)] = try await loop.submit { NIOLoopBound(make(loop), eventLoop: loop) }.get()
        }
        return PerLoop(values: values)
    }

    /// What `body` makes of each value, on the value's own loop.
    package func map<Result: Sendable>(_ body: @escaping @Sendable (Value) -> Result) async throws -> [Result] {
        var results: [Result] = []
        for bound in values.values {
            results.append(try await bound.eventLoop.submit { body(bound.value) }.get())
        }
        return results
    }

    /// Runs a body on each event loop, with the value that belongs there.
    package func forEach(_ body: @escaping @Sendable (Value) -> Void) async throws { _ = try await map(body) }

    /// As `forEach`, for those who do not wait.
    package func execute(_ body: @escaping @Sendable (Value) -> Void) {
        for bound in values.values { bound.eventLoop.execute { body(bound.value) } }
    }

    /// - Precondition: called on `loop`, which is one of those given to `make`.
    package subscript(loop: any EventLoop) -> Value { values[ObjectIdentifier(loop)]!.value }
}
