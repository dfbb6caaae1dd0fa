import Testing

@testable import TunnelCore

struct TunnelStateMachineTests {
    private typealias Machine = TunnelHandler.StateMachine

    private static func open() -> Machine {
        var machine = Machine.connecting
        machine.established()
        return machine
    }

    private static func reason(_ action: Machine.ClosedAction) -> String? {
        switch action {
        case .none: nil
        case .tell(let reason): reason.map { "\($0)" } ?? "no reason"
        }
    }

    @Test("Nothing is written before TLS has passed, and the peer's first settings make it ready once")
    func opening() {
        var machine = Machine.connecting
        let early = machine.receivedSettings()
        #expect(!machine.mayWrite && !machine.isOpen && !early)
        machine.established()
        let settings = [machine.receivedSettings(), machine.receivedSettings()]
        #expect(machine.mayWrite && machine.isOpen && settings == [true, false])
    }

    @Test("A connector announces that it drains, and says goodbye when the service has seen it, once")
    func announcedDrain() {
        var machine = Self.open()
        let action = machine.drains(ping: 7, mayAnnounce: true)
        let answers = [machine.receivedPingAnswer(6), machine.receivedPingAnswer(7), machine.receivedPingAnswer(8)]
        #expect(action == .announce && answers == [false, true, false])
        let again = machine.drains(ping: 9, mayAnnounce: true)
        #expect(again == .none)
    }

    @Test("A service says goodbye at once; where there is no peer yet, there is nobody to say it to")
    func drain() {
        var machine = Self.open()
        let first = machine.drains(ping: 1, mayAnnounce: false)
        let second = machine.drains(ping: 2, mayAnnounce: false)
        var connecting = Machine.connecting
        let early = connecting.drains(ping: 1, mayAnnounce: true)
        #expect(first == .sayGoodbye && second == .none && early == .end)
    }

    @Test("A ping's answer without an announcement says nothing")
    func plainPing() {
        var machine = Self.open()
        let answer = machine.receivedPingAnswer(1)
        #expect(!answer)
    }

    @Test("The first reason for its end is the one that is told, once")
    func reasons() {
        var machine = Self.open()
        machine.wantsEnd(nil)
        machine.wantsEnd(TunnelError.silent)
        machine.wantsEnd(TunnelError.revoked)
        #expect(machine.isEnding && machine.mustEnd && machine.mayWrite && !machine.isOpen)
        machine.beginsEnd()
        #expect(!machine.mustEnd && machine.mayWrite)
        let first = Self.reason(machine.closes())
        let second = Self.reason(machine.closes())
        #expect(first == TunnelError.silent.description && second == nil && machine.isClosed)
    }

    @Test("A channel that is gone ends it without a reason, whatever it was doing")
    func gone() {
        var connecting = Machine.connecting
        var open = Self.open()
        #expect(Self.reason(connecting.closes()) == "no reason" && Self.reason(open.closes()) == "no reason")
        #expect(Bool(!open.mayWrite))
    }

    @Test("An end that is wanted before TLS has passed has nobody to say goodbye to")
    func endedEarly() {
        var machine = Machine.connecting
        machine.wantsEnd(TunnelError.noIdentity)
        machine.established()
        #expect(machine.isEnding && !machine.mayWrite)
    }

    @Test("Nothing drains or becomes ready while it ends")
    func ending() {
        var machine = Self.open()
        machine.wantsEnd(nil)
        let drain = machine.drains(ping: 1, mayAnnounce: true)
        let settings = machine.receivedSettings()
        let answer = machine.receivedPingAnswer(1)
        #expect(drain == .none && !settings && !answer)
    }
}
