import EpollTransport
import NIOCore
import Synchronization
import Testing

struct EpollEventLoopTests {
    private static func with(_ count: Int = 1, _ body: (EpollEventLoopGroup) async throws -> Void) async throws {
        let group = try EpollEventLoopGroup(count, name: "test")
        try await body(group)
        try await group.shutdownGracefully()
    }

    @Test("Tasks run on the loop's thread in the order in which they were given, from any thread")
    func order() async throws {
        try await Self.with { group in
            let loop = group.loops[0]
            let order = Mutex<[Int]>([])
            for number in 0..<1000 { loop.execute { order.withLock { $0.append(number) } } }
            let isInside = try await loop.submit { loop.inEventLoop }.get()
            #expect(isInside)
            #expect(!loop.inEventLoop)
            #expect(order.withLock { $0 } == Array(0..<1000))
        }
    }

    @Test("A task that a task adds runs in the same turn, but an endless chain does not keep others waiting")
    func chain() async throws {
        try await Self.with { group in
            let loop = group.loops[0]
            let runs = Atomic<Int>(0)
            let isOver = Atomic<Bool>(false)
            @Sendable func again() {
                runs.wrappingAdd(1, ordering: .relaxed)
                if !isOver.load(ordering: .relaxed) { loop.execute(again) }
            }
            loop.execute(again)
            // Timers and what other threads want get their turn.
            try await loop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
            try await loop.submit {}.get()
            isOver.store(true, ordering: .relaxed)
            let count = runs.load(ordering: .relaxed)
            #expect(count > 16)
        }
    }

    @Test("A timer fires not before its time, and a cancelled one fails its future and does nothing")
    func timers() async throws {
        try await Self.with { group in
            let loop = group.loops[0]
            let start = NIODeadline.now()
            try await loop.scheduleTask(in: .milliseconds(20)) {}.futureResult.get()
            #expect(NIODeadline.now() - start >= .milliseconds(20))
            let hasFired = Atomic<Bool>(false)
            let timer = loop.scheduleTask(in: .milliseconds(1)) { hasFired.store(true, ordering: .relaxed) }
            let long = loop.scheduleTask(in: .hours(1)) { hasFired.store(true, ordering: .relaxed) }
            long.cancel()
            await #expect(throws: EventLoopError.self) { try await long.futureResult.get() }
            _ = try? await timer.futureResult.get()
            let fired = hasFired.load(ordering: .relaxed)
            #expect(fired)
        }
    }

    @Test(
        "The end of a loop fails what was still to come, may be asked for twice, and what is given to it afterwards is dropped"
    )
    func end() async throws {
        let group = try EpollEventLoopGroup(2, name: "test")
        let hasFailed = Atomic<Bool>(false)
        let timer = group.loops[0].scheduleTask(in: .hours(1)) {}
        timer.futureResult.whenFailure { _ in hasFailed.store(true, ordering: .relaxed) }
        try await group.shutdownGracefully()
        let failed = hasFailed.load(ordering: .relaxed)
        #expect(failed)
        try await group.shutdownGracefully()
        group.loops[1].execute { Issue.record("a task ran on a loop that is over") }
    }

    @Test("Loops take turns")
    func turns() async throws {
        try await Self.with(3) { group in
            let taken = (0..<9).map { _ in group.nextLoop() }
            for loop in group.loops { #expect(taken.filter { $0 === loop }.count == 3) }
        }
    }
}
