import Testing
import TunnelCore

@testable import ConnectivityService

/// Each test is a script: what happens on a client connection, and what it answers.
struct ProxyConnectionStateMachineTests {
    private typealias Machine = ProxyConnection.StateMachine

    private static func fail(
        _ machine: inout Machine,
        _ failure: StreamError,
        hasHead: Bool = false,
        hasUnsent: Bool = false,
        attempts: Int = 0
    ) -> Machine.StreamFailedAction {
        machine.streamFailed(failure, hasHead: hasHead, hasUnsent: hasUnsent, attempts: attempts)
    }

    @Test("A request without a body waits at once, and the next one comes after its response")
    func simple() {
        var machine = Machine.head
        machine.requestOpened(hasBody: false)
        let started = machine.responseStarted()
        let ended = machine.responseEnded()
        #expect(started && ended == .finish && machine.response == .complete)
        machine.nextRequest()
        #expect(machine.phase == .head && machine.response == .none)
    }

    @Test("A response may begin while the body still comes, and ends the exchange when both are over")
    func earlyStart() {
        var machine = Machine.head
        machine.requestOpened(hasBody: true)
        let started = machine.responseStarted()
        machine.requestEnded()
        #expect(started && machine.phase == .waiting && machine.response == .started)
        let ended = machine.responseEnded()
        #expect(ended == .finish)
    }

    @Test("A response that is over before the request is ends the connection")
    func earlyAnswer() {
        var machine = Machine.head
        machine.requestOpened(hasBody: true)
        _ = machine.responseStarted()
        let ended = machine.responseEnded()
        #expect(ended == .cutShort && machine.response == .complete)
        let isOpen = machine.lingers()
        #expect(isOpen && machine.phase == .lingering)
    }

    @Test("A second head, a second end, an end before a head: of no use")
    func outOfOrder() {
        var machine = Machine.waiting(.none)
        let endFirst = machine.responseEnded()
        let heads = [machine.responseStarted(), machine.responseStarted()]
        let ends = [machine.responseEnded(), machine.responseEnded()]
        #expect(endFirst == .none && heads == [true, false] && ends == [.finish, .none])
    }

    @Test("What comes from a tunnel after the answer changes nothing")
    func lateStream() {
        for state in [Machine.Phase.head, .lingering, .closed] {
            var machine = state == .head ? Machine.head : state == .lingering ? .lingering : .closed
            let started = machine.responseStarted()
            let ended = machine.responseEnded()
            let failed = Self.fail(&machine, .tunnelClosed)
            #expect(!started && ended == .none && failed == .none && machine.phase == state)
        }
    }

    @Test("A request that its tunnel refused goes down another one, while its head is there")
    func resend() {
        var machine = Machine.waiting(.none)
        let action = Self.fail(&machine, .refused, hasHead: true)
        #expect(action == .resend && machine.phase == .head)
    }

    @Test("After three tunnels it is answered")
    func noMoreTunnels() {
        var machine = Machine.waiting(.none)
        let action = Self.fail(&machine, .refused, hasHead: true, hasUnsent: true, attempts: Machine.maxAttempts)
        #expect(action == .refuse && machine.phase == .waiting)
    }

    @Test("GOAWAY with a body under way: what has not gone goes elsewhere, what has gone is answered")
    func goAwayWithinBody() {
        var unsent = Machine.body(.none)
        var sent = Machine.body(.none)
        let actions = [
            Self.fail(&unsent, .refused, hasUnsent: true), Self.fail(&sent, .refused, hasUnsent: false),
        ]
        #expect(actions == [.sendElsewhere, .refuse])
        #expect(unsent.phase == .body && sent.phase == .body)
    }

    @Test("GOAWAY after a body whose head is gone: the tunnel gives back what it has")
    func goAwayAfterBody() {
        var machine = Machine.waiting(.none)
        let action = Self.fail(&machine, .refused, hasHead: false, hasUnsent: true)
        #expect(action == .sendElsewhere)
    }

    @Test("A tunnel that is lost, or resets a request: it may have been processed, so it is not sent again")
    func lost() {
        for failure in [StreamError.tunnelClosed, .reset(2), .tooManyInterimResponses] {
            var machine = Machine.waiting(.none)
            let action = Self.fail(&machine, failure, hasHead: true, hasUnsent: true)
            #expect(action == .refuse)
        }
    }

    @Test("Within a response, the client must not take it for complete", arguments: [true, false])
    func cutResponse(isRequestComplete: Bool) {
        var machine = isRequestComplete ? Machine.waiting(.started) : .body(.started)
        let action = Self.fail(&machine, .refused, hasHead: true, hasUnsent: true)
        #expect(action == .abort)
    }

    @Test("A stream that fails after its response changes nothing")
    func failedAfterEnd() {
        var machine = Machine.waiting(.complete)
        let action = Self.fail(&machine, .tunnelClosed)
        #expect(action == .none)
    }

    @Test("The client's last byte: nothing begun, it is closed; something begun, it is refused; complete, it is served")
    func inputEnded() {
        var idle = Machine.head
        var partial = Machine.head
        var body = Machine.body(.none)
        var waiting = Machine.waiting(.none)
        let actions = [
            idle.inputEnded(hasBytes: false), partial.inputEnded(hasBytes: true), body.inputEnded(hasBytes: false),
            waiting.inputEnded(hasBytes: false),
        ]
        #expect(actions == [.close, .refuse, .refuse, .none])
        var lingering = Machine.lingering
        var closed = Machine.closed
        #expect(Bool(lingering.inputEnded(hasBytes: false) == .close))
        #expect(Bool(closed.inputEnded(hasBytes: false) == .none))
    }

    @Test("An answer of ours keeps the connection where the request's end is known, and neither side wants to end it")
    func keptAlive() {
        var waiting = Machine.waiting(.none)
        let kept = waiting.refused(isBodiless: false, mayContinue: true)
        #expect(kept == .answer(isKeptAlive: true) && waiting.phase == .head)
        var ending = Machine.waiting(.none)
        let last = ending.refused(isBodiless: false, mayContinue: false)
        #expect(last == .answer(isKeptAlive: false) && ending.phase == .waiting)
    }

    @Test("A head that is refused keeps the connection only if it is known to have no body", arguments: [true, false])
    func refusedHead(isBodiless: Bool) {
        var machine = Machine.head
        let action = machine.refused(isBodiless: isBodiless, mayContinue: true)
        #expect(action == .answer(isKeptAlive: isBodiless))
    }

    @Test("A request that is refused within its body ends the connection")
    func refusedBody() {
        var machine = Machine.body(.none)
        let action = machine.refused(isBodiless: false, mayContinue: true)
        #expect(action == .answer(isKeptAlive: false))
    }

    @Test("Nothing is answered behind a response that has begun, or twice")
    func refusedTooLate() {
        var started = Machine.waiting(.started)
        var body = Machine.body(.started)
        #expect(Bool(started.refused(isBodiless: false, mayContinue: true) == .abort))
        #expect(Bool(body.refused(isBodiless: false, mayContinue: true) == .abort))
        var lingering = Machine.lingering
        var closed = Machine.closed
        #expect(Bool(lingering.refused(isBodiless: false, mayContinue: true) == .none))
        #expect(Bool(closed.refused(isBodiless: false, mayContinue: true) == .none))
    }

    @Test("Each limit that passes has its answer")
    func timeouts() {
        var machines: [(Machine.Phase, Machine.TimedOutAction)] = []
        var head = Machine.head
        machines.append((head.phase, head.timedOut(isIdle: true)))
        machines.append((head.phase, head.timedOut(isIdle: false)))
        var body = Machine.body(.none)
        machines.append((body.phase, body.timedOut(isIdle: false)))
        var waiting = Machine.waiting(.none)
        machines.append((waiting.phase, waiting.timedOut(isIdle: false)))
        var started = Machine.waiting(.started)
        machines.append((started.phase, started.timedOut(isIdle: false)))
        var lingering = Machine.lingering
        machines.append((lingering.phase, lingering.timedOut(isIdle: false)))
        #expect(machines.map(\.1) == [.close, .refuseHead, .refuseBody, .refuseWaiting, .abort, .close])
    }

    @Test("It closes once, and never lingers after that")
    func closing() {
        var machine = Machine.waiting(.started)
        let first = machine.closing()
        let second = machine.closing()
        let lingers = machine.lingers()
        #expect(first && !second && !lingers && machine.phase == .closed)
    }
}
