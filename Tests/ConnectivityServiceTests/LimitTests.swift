import ControlProtocol
import Cryptography
import NIOCore
import Testing
import TunnelCore

@testable import ConnectivityService

struct LimitTests {
    @Test("Memory runs short above the limit, and suffices again below nine tenths of it")
    func memory() {
        let memory = MemoryGuard(limit: 1000)
        #expect(memory.look(resident: 1000) == nil && !memory.isShort)
        #expect(memory.look(resident: 1001) == true && memory.isShort)
        #expect(memory.look(resident: 950) == nil && memory.isShort)
        #expect(memory.look(resident: 900) == false && !memory.isShort)
        #expect(memory.shortageCount == 1)
        memory.setLimit(0)
        #expect(memory.look(resident: .max) == nil)
    }

    @Test("A connector has so many tunnels, waits after a flood, and others do not")
    func tunnelPlaces() throws {
        final class Key {}
        let keys = (0..<3).map { _ in Key() }
        let (one, other) = (
            ConnectorIdentity(subaccount: "a", locationID: ""), ConnectorIdentity(subaccount: "b", locationID: "")
        )
        var places = TunnelPlaces()
        let now = NIODeadline.uptimeNanoseconds(1)
        try places.admit(one, ObjectIdentifier(keys[0]), limit: 2, now: now)
        try places.admit(one, ObjectIdentifier(keys[1]), limit: 2, now: now)
        #expect(throws: TunnelError.tooManyTunnels) {
            try places.admit(one, ObjectIdentifier(keys[2]), limit: 2, now: now)
        }
        places.leave(one, ObjectIdentifier(keys[0]))
        try places.admit(one, ObjectIdentifier(keys[2]), limit: 2, now: now)
        places.leave(one, ObjectIdentifier(keys[1]))
        places.punish(one, now: now)
        #expect(throws: TunnelError.flooded) {
            try places.admit(one, ObjectIdentifier(keys[0]), limit: 2, now: now + .seconds(9))
        }
        try places.admit(other, ObjectIdentifier(keys[0]), limit: 2, now: now)
        try places.admit(one, ObjectIdentifier(keys[1]), limit: 2, now: now + .seconds(10))
    }

    @Test("Refusals of strangers are told ten times a second, and the rest is counted")
    func throttle() {
        var throttle = RefusalThrottle()
        let start = NIODeadline.uptimeNanoseconds(5_000_000_000)
        let told = (0..<1000).compactMap { _ in throttle.take(now: start) }
        #expect(told == [Int](repeating: 0, count: 10))
        let later = (0..<2).map { _ in throttle.take(now: start + .seconds(1)) }
        #expect(later == [990, 0])
    }

    private func system(_ host: String) -> ExposedSystem {
        ExposedSystem(host: host, protocol: "HTTP", type: "", description: "", hasResources: true, availability: "")
    }

    @Test("Exposed systems are kept up to the room there is, changed in place, and counted beyond")
    func exposedSystems() {
        var systems = ExposedSystems()
        let added = systems.append((0..<10).map { system("h\($0):1") }, room: 4)
        #expect(added == 4)
        #expect(systems.list.map(\.host) == ["h0:1", "h1:1", "h2:1", "h3:1"] && systems.omitted == 6)
        let changed = systems.append([system("h2:1")], room: 0)
        #expect(changed == 0 && systems.omitted == 6)
        systems.apply([.init(host: "h3:1", availability: "reachable"), .init(host: "h9:1", availability: "reachable")])
        #expect(systems.list[3].availability == "reachable" && systems.list.count == 4)
        var counts = ExposedSystemCounts()
        var limits = ExposedSystemLimits()
        (limits.perConnector, limits.perSubaccount, limits.inAll) = (5, 8, 10)
        #expect(counts.room("a", own: 0, limits) == 5)
        counts.add(5, "a")
        #expect(counts.room("a", own: 5, limits) == 0 && counts.room("a", own: 0, limits) == 3)
        counts.add(3, "a")
        #expect(counts.room("a", own: 0, limits) == 0 && counts.room("b", own: 0, limits) == 2)
        counts.add(-8, "a")
        #expect(counts.room("a", own: 0, limits) == 5)
    }

    @Test("The control stream is paced: a burst at once, then so much a second, and all credit in the end")
    func controlPace() {
        var pace = ControlPace()
        var given = 0
        for _ in 0..<100 { given += pace.received(64 << 10, messages: 1, now: 1_000_000_000) }
        #expect(given > 3 << 20 && given <= ControlPace.burst)
        #expect(pace.owed == 100 * 64 << 10 - given && pace.pause > 1000)
        var now: Int64 = 1_000_000_000
        while pace.owed > 0 {
            now += pace.pause * 1_000_000
            given += pace.timePassed(now: now)
        }
        #expect(given == 100 * 64 << 10)
        #expect(now < 4_000_000_000)
    }

}
