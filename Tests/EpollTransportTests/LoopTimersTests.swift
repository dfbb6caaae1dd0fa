import NIOCore
import Testing

@testable import EpollTransport

struct LoopTimersTests {
    private static func at(_ nanoseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(nanoseconds) }

    @Test("Timers fire in the order of their times, and those of one time in the order in which they were added")
    func order() {
        var timers = LoopTimers()
        var fired: [String] = []
        for (name, time) in [("late", 30), ("first of two", 20), ("second of two", 20), ("early", 10)]
            as [(String, UInt64)]
        {
            timers.add(LoopTimer(Self.at(time)) { _ in fired.append(name) })
        }
        #expect(timers.next == Self.at(10))
        while let action = timers.takeDue(Self.at(20)) { action(nil) }
        #expect(fired == ["early", "first of two", "second of two"])
        #expect(timers.next == Self.at(30))
    }

    @Test("A cancelled timer lets go of what it would have done, and does nothing")
    func cancelled() {
        final class Held {}
        var timers = LoopTimers()
        weak var held: Held?
        let timer: LoopTimer
        do {
            let object = Held()
            held = object
            timer = LoopTimer(Self.at(1)) { _ in _ = object }
        }
        timers.add(timer)
        #expect(held != nil)
        timers.cancel(timer)
        #expect(held == nil)
        #expect(timers.takeDue(Self.at(2)) == nil)
        #expect(timers.count == 0)
    }

    @Test("Cancelled timers do not add up, however many there are and in whatever order they end")
    func swept() {
        var timers = LoopTimers()
        let kept = LoopTimer(Self.at(5)) { _ in }
        timers.add(kept)
        for round in 0..<10_000 {
            let timer = LoopTimer(Self.at(UInt64(1_000_000 - round))) { _ in }
            timers.add(timer)
            timers.cancel(timer)
            timers.cancel(timer)
        }
        #expect(timers.count < 200)
        #expect(timers.takeDue(Self.at(5)) != nil)
    }

    @Test("Where a loop ends, each timer hears of it once")
    func end() {
        var timers = LoopTimers()
        var errors = 0
        let timer = LoopTimer(Self.at(1)) { error in if error != nil { errors += 1 } }
        timers.add(timer)
        for action in timers.takeAll() { action(EventLoopError.shutdown) }
        for action in timers.takeAll() { action(EventLoopError.shutdown) }
        timers.cancel(timer)
        #expect(errors == 1 && timers.count == 0)
    }
}
