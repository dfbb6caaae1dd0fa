import ConnectivityService
import ConnectorTestSupport
import Cryptography
import PostgreSQL
import Testing
import TextFormats

@testable import CloudServices

/// The directory of services and their tunnels, against a real PostgreSQL.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isThere)) struct DirectoryDatabaseTests {
    private struct Fixture {
        let server: PostgreSQLServer
        let address: DatabaseAddress

        init() throws {
            server = try PostgreSQLServer()
            address = DatabaseAddress(url: try server.url(), password: nil)
            _ = try StoreSchema.migrate(Database(address))
        }

        func service(_ name: String, run: String = "1") -> DirectoryDatabase {
            let own = PeerDirectory.Service(name: name, run: run, address: HostPort(host: "h", port: 1), version: "v")
            return DirectoryDatabase(Database(address), own)
        }

        func run(_ statement: String) throws {
            try Database(address).use { (connection) throws(DatabaseError) in try connection.run(statement) }
        }
    }

    private static let plant = ConnectorIdentity(subaccount: "sub'", locationID: "Ö \\ \"")

    private static func change(_ session: String, isUp: Bool = true) -> DirectoryDatabase.Change {
        DirectoryDatabase.Change(plant, session: session, isUp: isUp)
    }

    @Test func `A session keeps its number wherever it comes and goes, and one that is new gets the greatest`() throws {
        let fixture = try Fixture()
        defer { fixture.server.stop() }
        let (one, two) = (fixture.service("one"), fixture.service("two"))
        try one.register()
        try two.register()
        func entries() throws -> [String: PeerDirectory.Entry] {
            Dictionary(try one.changes(after: 0).rows.map { ($0.service, $0.entry) }) { $1 }.compactMapValues { $0 }
        }
        try one.publish([Self.change("early")])
        try two.publish([Self.change("late")])
        let (early, late) = (try #require(try entries()["one"]), try #require(try entries()["two"]))
        #expect(late.number > early.number)
        // A service that has just started gets the earlier one first.
        try one.publish([Self.change("early", isUp: false)])
        #expect(try entries()["one"] == nil)
        try one.publish([Self.change("early")])
        #expect(try entries()["one"] == early, "it is no newer than before")
        try one.publish([Self.change("late")])
        #expect(try entries()["one"] == late)
        #expect(try one.changes(after: 0).rows.map(\.identity) == [Self.plant, Self.plant])
        // Those side by side are as new as the first of them that is there.
        try one.publish([Self.change("")])
        try two.publish([Self.change("")])
        #expect(try entries()["one"] == entries()["two"] && entries()["one"]!.number > late.number)
    }

    @Test func `Whoever reads after a number gets what has changed since, removals too`() throws {
        let fixture = try Fixture()
        defer { fixture.server.stop() }
        let one = fixture.service("one")
        try one.register()
        try one.publish([Self.change("a")])
        let all = try one.changes(after: 0)
        #expect(try all.rows.count == 1 && one.changes(after: all.last).rows.isEmpty)
        try one.publish([Self.change("a", isUp: false)])
        let next = try one.changes(after: all.last)
        #expect(next.rows.count == 1 && next.rows[0].entry == nil && next.last > all.last)
        #expect(try one.changes(after: 0).rows.isEmpty)
        // A process that has lost its name says nothing in it.
        try fixture.service("one", run: "2").register()
        try one.publish([Self.change("a")])
        #expect(try one.changes(after: 0).rows.isEmpty)
    }

    @Test func `A lease is renewed while it is one's own, taken with the name, and free when it has run out`() throws {
        let fixture = try Fixture()
        defer { fixture.server.stop() }
        let (first, second) = (fixture.service("one"), fixture.service("one", run: "2"))
        #expect(try first.renew() == .gone)
        try first.register()
        #expect(try first.renew() == .renewed && first.services().map(\.run) == ["1"])
        try second.register()
        #expect(try first.renew() == .taken && second.renew() == .renewed && first.services().map(\.run) == ["2"])
        try first.leave()
        #expect(try second.services().map(\.run) == ["2"], "only one's own row goes")
        // Nobody has renewed it in time.
        try fixture.run("UPDATE service SET expires_at = now() - interval '1 second'")
        #expect(try second.services().isEmpty)
        #expect(try first.renew() == .gone, "whoever wants it may have it")
        #expect(try second.renew() == .renewed && second.services().count == 1)
        try second.leave()
        #expect(try second.renew() == .gone)
    }

    @Test func `What PostgreSQL does not take is an error of that row, not of the server`() throws {
        let fixture = try Fixture()
        defer { fixture.server.stop() }
        let one = fixture.service("one")
        try one.register()
        do throws(DatabaseError) {
            try one.publish([Self.change("\u{0}")])
            Issue.record("taken")
        } catch {
            #expect(!error.isAway && error.state == "22P05", "\(error.state) \(error)")
        }
        try one.publish([Self.change("good")])
        #expect(try one.changes(after: 0).rows.count == 1)
    }
}
