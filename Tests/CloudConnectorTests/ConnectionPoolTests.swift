import NIOCore
import Testing

@testable import CloudConnector

struct ConnectionPoolTests {
    private final class Connection: PooledConnection {
        var isReusable = true
        var idleSince = NIODeadline.uptimeNanoseconds(0)
        var usableUntil = NIODeadline.distantFuture
    }

    @Test("The connection used last is the first to be used again")
    func order() {
        var idle = IdleConnections<Connection>()
        let (first, second) = (Connection(), Connection())
        let areKept = idle.keep(first, limit: 8) && idle.keep(second, limit: 8)
        #expect(areKept && idle.oldest === first)
        let taken = [
            idle.take(at: .uptimeNanoseconds(0), mustBeFresh: false),
            idle.take(at: .uptimeNanoseconds(0), mustBeFresh: false),
            idle.take(at: .uptimeNanoseconds(0), mustBeFresh: false),
        ]
        #expect(taken[0] === second && taken[1] === first && taken[2] == nil)
    }

    @Test("Those that were closed meanwhile are passed over")
    func closed() {
        var idle = IdleConnections<Connection>()
        let (good, bad) = (Connection(), Connection())
        _ = idle.keep(good, limit: 8)
        _ = idle.keep(bad, limit: 8)
        bad.isReusable = false
        let taken = idle.take(at: .uptimeNanoseconds(0), mustBeFresh: false)
        #expect(taken === good && idle.count == 0)
    }

    @Test("A full pool keeps no more, and a forgotten connection makes room")
    func limit() {
        var idle = IdleConnections<Connection>()
        let (first, second) = (Connection(), Connection())
        let results = [idle.keep(first, limit: 1), idle.keep(second, limit: 1)]
        idle.forget(first)
        idle.forget(first)
        let isKept = idle.keep(second, limit: 1)
        #expect(results == [true, false] && isKept && idle.all.first === second)
    }

    @Test("A pin leads to its connection while that is open and nobody uses it")
    func pin() throws {
        var pinned = PinnedConnections<Connection>(start: 1)
        let connection = Connection()
        let bound = pinned.pin(connection, limit: 8, secret: 35)
        let pin = try #require(bound)
        #expect(pin == "2-z")
        #expect(pinned.connection(pin) === connection && pinned.connection("2-y") == nil)
        connection.isReusable = false
        #expect(pinned.connection(pin) == nil)
        connection.isReusable = true
        pinned.forget(pin)
        #expect(pinned.connection(pin) == nil)
    }

    @Test("Pins differ, and there are so many at a time")
    func pinLimit() {
        var pinned = PinnedConnections<Connection>()
        let pins = (0..<4).map { _ in pinned.pin(Connection(), limit: 3) }
        #expect(Set(pins.compactMap(\.self)).count == 3 && pins[3] == nil && pinned.all.count == 3)
    }

    @Test(
        "A request that may not be sent twice gets a connection only that was used within a second",
        arguments: [(0, true), (900, true), (1001, false), (60_000, false)] as [(Int64, Bool)]
    )
    func fresh(_ age: Int64, _ isTaken: Bool) {
        var idle = IdleConnections<Connection>()
        let connection = Connection()
        _ = idle.keep(connection, limit: 8)
        let now = NIODeadline.uptimeNanoseconds(0) + .milliseconds(age)
        let taken = idle.take(at: now, mustBeFresh: true)
        #expect((taken === connection) == isTaken)
        let other = idle.take(at: now, mustBeFresh: false)
        #expect((other === connection) == !isTaken, "others still may have it")
    }

    @Test("No request goes on a connection whose time, as the internal host announced it, is over")
    func announced() {
        var idle = IdleConnections<Connection>()
        let (old, young) = (Connection(), Connection())
        old.usableUntil = .uptimeNanoseconds(0) + .seconds(4)
        _ = idle.keep(young, limit: 8)
        _ = idle.keep(old, limit: 8)
        let taken = idle.take(at: .uptimeNanoseconds(0) + .seconds(4), mustBeFresh: false)
        #expect(taken === young && idle.count == 0)
    }
}
