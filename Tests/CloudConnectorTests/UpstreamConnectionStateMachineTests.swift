import Testing

@testable import CloudConnector

/// Each test is a script: what happens to a connection to an internal host, and what it answers.
struct UpstreamConnectionStateMachineTests {
    private typealias Machine = UpstreamConnection.StateMachine

    private static func idle(uses: Int = 0) -> Machine { .idle(.init(uses: uses)) }

    /// - Parameter uses: exchanges before this one.
    private static func head(isRequestComplete: Bool = true, uses: Int = 0) -> Machine {
        var machine = idle(uses: uses)
        machine.begun(isRequestComplete: isRequestComplete)
        return machine
    }

    private static func body(isRequestComplete: Bool = true, isKeptAlive: Bool = true) -> Machine {
        var machine = head(isRequestComplete: isRequestComplete)
        _ = machine.received()
        _ = machine.headReceived(status: 200, maxInterim: 8)
        machine.bodyFollows(isKeptAlive: isKeptAlive)
        return machine
    }

    @Test("Open and unused it may be taken, and only then")
    func reuse() {
        var machine = Machine.connecting
        #expect(Bool(!machine.isReusable))
        machine.connected()
        #expect(machine.isReusable && !machine.isBusy)
        machine.begun(isRequestComplete: true)
        #expect(!machine.isReusable && machine.isBusy)
    }

    @Test("The whole of an exchange leads back to unused")
    func exchange() {
        var machine = Self.head()
        let bytes = machine.received()
        let head = machine.headReceived(status: 200, maxInterim: 8)
        machine.bodyFollows(isKeptAlive: true)
        let end = machine.responseEnded(isRequestComplete: true, hasMore: false)
        #expect(bytes && head == .passFinal && end == .keep && machine.isReusable)
    }

    @Test("While the request is on its way progress counts; then the internal host owes a head")
    func turns() {
        var machine = Self.head(isRequestComplete: false)
        #expect(!machine.awaitsHead && !machine.isRequestSent)
        machine.requestEnded()
        #expect(machine.awaitsHead && machine.isRequestSent)
        _ = machine.received()
        _ = machine.headReceived(status: 200, maxInterim: 8)
        machine.bodyFollows(isKeptAlive: true)
        #expect(!machine.awaitsHead && machine.isReadingBody)
    }

    @Test("Bytes that nobody asked for close it")
    func unasked() {
        var machine = Self.idle()
        let isAsked = machine.received()
        #expect(!isAsked && machine.isClosed)
    }

    @Test("Interim responses pass up to the limit, and one more ends the connection")
    func interim() {
        var machine = Self.head()
        _ = machine.received()
        let first = machine.headReceived(status: 103, maxInterim: 2)
        let second = machine.headReceived(status: 100, maxInterim: 2)
        let third = machine.headReceived(status: 103, maxInterim: 2)
        #expect(first == .passInterim && second == .passInterim && third == .refuseInterim && machine.isClosed)
    }

    @Test("A final head may come after interim ones")
    func interimThenFinal() {
        var machine = Self.head()
        _ = machine.received()
        _ = machine.headReceived(status: 103, maxInterim: 1)
        let action = machine.headReceived(status: 404, maxInterim: 1)
        #expect(action == .passFinal)
    }

    @Test("Nobody switches protocols unasked")
    func upgrade() {
        var machine = Self.head()
        _ = machine.received()
        let action = machine.headReceived(status: 101, maxInterim: 8)
        #expect(action == .refuseUpgrade && machine.isClosed)
    }

    @Test(
        "It is kept only if the next response is sure to be the next request's",
        arguments: [(true, false, true), (false, false, false), (true, true, false), (false, true, false)]
    )
    func keeping(isRequestComplete: Bool, hasMore: Bool, isKept: Bool) {
        var machine = Self.body(isRequestComplete: isRequestComplete)
        let action = machine.responseEnded(isRequestComplete: isRequestComplete, hasMore: hasMore)
        #expect((action == .keep) == isKept && machine.isReusable == isKept && machine.isClosed != isKept)
    }

    @Test("An internal host that wants to close is obeyed")
    func notKeptAlive() {
        var machine = Self.body(isKeptAlive: false)
        let action = machine.responseEnded(isRequestComplete: true, hasMore: false)
        #expect(action == .close)
    }

    @Test("A system that is exposed no more: unused it closes at once, in use after its response")
    func retired() {
        var unused = Self.idle()
        let isClosedNow = unused.retired()
        var busy = Self.head()
        let isCut = busy.retired()
        _ = busy.received()
        _ = busy.headReceived(status: 200, maxInterim: 8)
        busy.bodyFollows(isKeptAlive: true)
        let action = busy.responseEnded(isRequestComplete: true, hasMore: false)
        #expect(isClosedNow && !isCut && action == .close)
    }

    @Test("Opened for a request that has gone, it may be used as if it had been used before")
    func keptUnused() {
        var machine = Machine.connecting
        machine.connected()
        let isKept = machine.keptUnused()
        machine.begun(isRequestComplete: true)
        let action = machine.channelClosed(isOrderly: true, bodyEndsSo: false)
        #expect(isKept && action == .failUnanswered(wasReused: true))
    }

    @Test("Opened for a request that has gone, to a system that has gone: closed")
    func keptUnusedRetired() {
        var machine = Machine.idle(.init(uses: 0, isRetired: true))
        let isKept = machine.keptUnused()
        #expect(!isKept && machine.isClosed)
    }

    @Test("Closed before it said anything, it tells whether it came from the pool", arguments: [0, 1])
    func unanswered(uses: Int) {
        var machine = Self.head(uses: uses)
        let action = machine.channelClosed(isOrderly: true, bodyEndsSo: false)
        #expect(action == .failUnanswered(wasReused: uses > 0))
    }

    @Test("Closed within the head, the response is incomplete: it is not sent again")
    func closedWithinHead() {
        var machine = Self.head(uses: 1)
        _ = machine.received()
        let action = machine.channelClosed(isOrderly: true, bodyEndsSo: false)
        #expect(action == .failIncomplete)
    }

    @Test(
        "The end of the connection ends a body that has no other end, if it was an orderly one",
        arguments: [(true, true, true), (true, false, false), (false, true, false)]
    )
    func closedWithinBody(isOrderly: Bool, bodyEndsSo: Bool, isFinished: Bool) {
        var machine = Self.body()
        let action = machine.channelClosed(isOrderly: isOrderly, bodyEndsSo: bodyEndsSo)
        #expect(action == (isFinished ? .finishResponse : .failIncomplete))
    }

    @Test("Unused or already closed by us, its end is nobody's business")
    func closedUnused() {
        var unused = Self.idle()
        let first = unused.channelClosed(isOrderly: true, bodyEndsSo: false)
        var closed = Self.head()
        let isFirst = closed.closing()
        let isSecond = closed.closing()
        let second = closed.channelClosed(isOrderly: false, bodyEndsSo: false)
        #expect(first == .none && isFirst && !isSecond && second == .none)
    }

    @Test("A limit that passes says whose turn it was")
    func timeouts() {
        var unused = Self.idle()
        var sending = Self.head(isRequestComplete: false)
        var waiting = Self.head()
        var reading = Self.body()
        let actions = [unused.timedOut(), sending.timedOut(), waiting.timedOut(), reading.timedOut()]
        #expect(
            actions == [
                .close, .fail(isBody: false, isItsTurn: false), .fail(isBody: false, isItsTurn: true),
                .fail(isBody: true, isItsTurn: true),
            ]
        )
    }
}
