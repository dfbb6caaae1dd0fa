import NIOCore
import Testing

@testable import ConnectivityService

/// Who asks for too much waits for the answer, and for the next request; time is a number here.
@Suite struct RefusalTurnsTests {
    typealias Turns = RefusalTurns<Int>

    private static let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    /// What is due at a time, in order, and all of it.
    private func due(_ turns: inout Turns, _ now: NIODeadline) -> [String] {
        var found: [String] = []
        while let due = turns.takeDue(now: now) {
            switch due {
            case .answer(let who): found.append("answer \(who)")
            case .goOn(let who): found.append("go on \(who)")
            }
        }
        return found
    }

    @Test func `The first is answered at once, the others one after the other at their intervals`() {
        var turns = Turns()
        #expect(turns.isEmpty && turns.next == nil)
        #expect(turns.asks(0, now: Self.start) == .now && turns.isEmpty)
        for who in 1...3 { #expect(turns.asks(who, now: Self.start) == .later) }
        #expect(turns.next == Self.start + Turns.interval)
        #expect(due(&turns, Self.start).isEmpty)
        #expect(due(&turns, Self.start + Turns.interval) == ["answer 1"])
        #expect(due(&turns, Self.start + .nanoseconds(Turns.interval.nanoseconds * 3)) == ["answer 2", "answer 3"])
        // Whoever comes now has the turn after theirs.
        #expect(turns.asks(4, now: Self.start + .nanoseconds(Turns.interval.nanoseconds * 3)) == .later)
        #expect(turns.asks(5, now: Self.start + .seconds(1)) == .now)
    }

    @Test func `After the answer, a connection waits a quarter of a second for its next request`() {
        var turns = Turns()
        turns.pauses(1, now: Self.start)
        turns.pauses(2, now: Self.start + .milliseconds(5))
        #expect(turns.next == Self.start + .milliseconds(250))
        #expect(due(&turns, Self.start + .milliseconds(249)).isEmpty)
        #expect(due(&turns, Self.start + .milliseconds(250)) == ["go on 1"])
        #expect(!turns.isEmpty)
        #expect(due(&turns, Self.start + .milliseconds(300)) == ["go on 2"])
        #expect(turns.isEmpty && turns.next == nil)
    }

    @Test func `What is due first is named first, be it an answer or a next request`() {
        var turns = Turns()
        _ = turns.asks(0, now: Self.start)
        turns.pauses(0, now: Self.start)
        _ = turns.asks(1, now: Self.start)
        #expect(turns.next == Self.start + Turns.interval)
        #expect(due(&turns, Self.start + .seconds(1)) == ["answer 1", "go on 0"])
    }

    @Test func `No more than the limit wait for an answer; when one was given, there is room again`() {
        var turns = Turns()
        #expect(turns.asks(0, now: Self.start) == .now)
        for who in 1...Turns.limit { #expect(turns.asks(who, now: Self.start) == .later) }
        #expect(turns.asks(-1, now: Self.start) == .never)
        // The last one waits as long as the limit allows, whoever was turned away.
        #expect(turns.takeDue(now: Self.start + Turns.interval) != nil)
        #expect(turns.asks(-2, now: Self.start + Turns.interval) == .later)
        let last = Self.start + .nanoseconds(Turns.interval.nanoseconds * Int64(Turns.limit + 1))
        #expect(due(&turns, last).last == "answer -2")
    }
}
