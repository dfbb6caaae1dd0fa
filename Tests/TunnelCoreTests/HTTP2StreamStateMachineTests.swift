import Testing

@testable import TunnelCore

struct HTTP2StreamStateMachineTests {
    private typealias Machine = HTTP2Stream.StateMachine

    @Test("A response is a head, a body and an end, in this order")
    func response() {
        var machine = Machine()
        #expect(machine.maySendInterim && machine.maySendBody && !machine.hasSentHead)
        let head = machine.sendsHead(isEnd: false)
        #expect(head && machine.hasSentHead && !machine.maySendInterim && machine.maySendBody)
        let end = machine.finishes()
        #expect(end && machine.isLocalEnded && !machine.maySendBody)
    }

    @Test("A head is sent once, and one that is all ends its side")
    func heads() {
        var machine = Machine()
        let heads = [machine.sendsHead(isEnd: true), machine.sendsHead(isEnd: false)]
        #expect(heads == [true, false] && machine.isLocalEnded && !machine.isEndQueued)
        let ends = [machine.finishes(), machine.aborts()]
        #expect(ends == [false, false])
    }

    @Test("The end goes out with the last byte of the body")
    func writing() {
        var machine = Machine(local: .body)
        #expect(Bool(machine.writes(0, of: 0) == .wait))
        #expect(Bool(machine.writes(10, of: 10) == .write(isEnd: false)))
        _ = machine.finishes()
        #expect(Bool(machine.writes(10, of: 30) == .write(isEnd: false)))
        #expect(Bool(machine.writes(20, of: 20) == .write(isEnd: true)))
        #expect(Bool(machine.writes(0, of: 0) == .write(isEnd: true)))
    }

    @Test("A body that cannot be completed goes out as far as it is there, and then a reset")
    func aborting() {
        var machine = Machine(local: .body)
        let isFirst = machine.aborts()
        let isSecond = machine.aborts()
        #expect(isFirst && !isSecond && machine.isLocalEnded && !machine.isEndQueued)
        #expect(Bool(machine.writes(10, of: 10) == .write(isEnd: false)))
        #expect(Bool(machine.writes(0, of: 0) == .reset))
    }

    @Test("A closed stream sends nothing")
    func closed() {
        var machine = Machine()
        let closes = [machine.closes(), machine.closes()]
        let sends = [machine.sendsHead(isEnd: false), machine.finishes(), machine.aborts()]
        #expect(closes == [true, false] && sends == [false, false, false])
        #expect(!machine.maySendBody && !machine.maySendInterim && machine.isClosed)
    }

    @Test("The peer's head and end are seen once, also in one frame, and a late head changes nothing")
    func remote() {
        var machine = Machine()
        machine.receivedHead()
        #expect(machine.hasReceivedHead && !machine.isRemoteEnded)
        machine.receivedEnd()
        machine.receivedHead()
        #expect(machine.hasReceivedHead && machine.isRemoteEnded)
        var short = Machine()
        short.receivedEnd()
        #expect(short.hasReceivedHead && short.isRemoteEnded)
    }

    @Test("A response is complete for who asked without the rest of the request; a connection needs both ends")
    func completeness() {
        var machine = Machine(local: .body)
        machine.receivedHead()
        #expect(Bool(!machine.isComplete(needsBoth: false)))
        machine.receivedEnd()
        #expect(machine.isComplete(needsBoth: false) && !machine.isComplete(needsBoth: true))
        _ = machine.finishes()
        #expect(Bool(machine.isComplete(needsBoth: true)))
    }
}
