import Testing

@testable import CloudConnector

/// Each test is a script: what happens, and what the request answers.
struct ForwardedRequestStateMachineTests {
    private typealias Machine = ForwardedRequest.StateMachine

    private static func exchanging(isComplete: Bool = true, isIdempotent: Bool = true) -> Machine {
        var machine = Machine.head
        _ = machine.permitted(hasConnection: true, isComplete: isComplete, isIdempotent: isIdempotent)
        return machine
    }

    private static func connecting(isComplete: Bool = true, isIdempotent: Bool = true) -> Machine {
        var machine = Machine.head
        _ = machine.permitted(hasConnection: false, isComplete: isComplete, isIdempotent: isIdempotent)
        return machine
    }

    @Test("With a free connection it is sent at once")
    func pooled() {
        var machine = Machine.head
        let action = machine.permitted(hasConnection: true, isComplete: true, isIdempotent: true)
        #expect(action == .send)
    }

    @Test("Without one it waits for a new one, holds its body back, and begins when it is there")
    func fresh() {
        var machine = Machine.head
        let start = machine.permitted(hasConnection: false, isComplete: false, isIdempotent: false)
        let early = machine.received(isEnd: false)
        let connected = machine.connected()
        let late = machine.received(isEnd: false)
        #expect(start == .connect && early == .hold && connected == .begin && late == .write)
    }

    @Test("It is complete when its head was all, or when its end has come, also while it waits for a connection")
    func completeness() {
        #expect(Bool(Self.exchanging(isComplete: true).isRequestComplete))
        var machine = Self.connecting(isComplete: false)
        #expect(Bool(!machine.isRequestComplete))
        let action = machine.received(isEnd: true)
        #expect(action == .hold && machine.isRequestComplete)
        _ = machine.connected()
        #expect(Bool(machine.isRequestComplete))
    }

    @Test(
        "Reset while a connection is being opened, it keeps its place until that is there, and the connection finds another use"
    )
    func abortWhileConnecting() {
        var machine = Self.connecting()
        let reset = machine.reset()
        let body = machine.received(isEnd: false)
        let again = machine.reset()
        let connected = machine.connected()
        #expect(reset == .keepPlace && body == .discard && again == .none && connected == .keepUnused)
    }

    @Test("Reset while a connection is being opened that fails: its place is free, and nobody is answered")
    func abortThenFailure() {
        var machine = Self.connecting()
        _ = machine.reset()
        let failed = machine.connectFailed()
        let answer = machine.refused()
        #expect(failed == .givePlaceBack && !answer)
    }

    @Test("A connection that cannot be opened is answered once")
    func connectFails() {
        var machine = Self.connecting()
        let failed = machine.connectFailed()
        let again = machine.refused()
        #expect(failed == .refuse && !again)
    }

    @Test("Reset within the exchange, the internal host learns of it; once")
    func abortWhileExchanging() {
        var machine = Self.exchanging()
        let first = machine.reset()
        let second = machine.reset()
        #expect(first == .abandon && second == .none)
    }

    @Test("Reset before its head is of no consequence for any connection")
    func abortBeforeHead() {
        var machine = Machine.head
        let action = machine.reset()
        let refused = machine.refused()
        #expect(action == .abandon && !refused)
    }

    @Test("A pooled connection that was closed at that moment costs no request: it goes out again, but only once")
    func replay() {
        var machine = Self.exchanging()
        let first = machine.closedUnanswered(wasReused: true, hasAllThatWasSent: true)
        let connected = machine.connected()
        let second = machine.closedUnanswered(wasReused: true, hasAllThatWasSent: true)
        #expect(first == .replay && connected == .begin && second == .refuse)
    }

    @Test(
        "What may have been done, or is not all there, is not sent twice",
        arguments: [
            (true, false, true, true), (false, true, true, true), (true, true, false, true), (true, true, true, false),
        ]
    )
    func noReplay(isComplete: Bool, isIdempotent: Bool, wasReused: Bool, hasAll: Bool) {
        var machine = Self.exchanging(isComplete: isComplete, isIdempotent: isIdempotent)
        let action = machine.closedUnanswered(wasReused: wasReused, hasAllThatWasSent: hasAll)
        #expect(action == .refuse)
    }

    @Test("A connection that closes after the client has gone is nobody's business")
    func closedAfterReset() {
        var machine = Self.exchanging()
        _ = machine.reset()
        let action = machine.closedUnanswered(wasReused: false, hasAllThatWasSent: true)
        #expect(action == .none)
    }

    @Test("After the response nothing is written, answered or reset any more")
    func afterResponse() {
        var machine = Self.exchanging(isComplete: false)
        machine.responseEnded()
        let body = machine.received(isEnd: false)
        let reset = machine.reset()
        let refused = machine.refused()
        #expect(body == .discard && reset == .none && !refused)
    }

    @Test("What is not a request is left to its new owner")
    func handedOver() {
        var machine = Machine.head
        machine.handedOver()
        let body = machine.received(isEnd: true)
        let reset = machine.reset()
        #expect(body == .discard && reset == .none)
    }
}
