import ConnectorTestSupport
import Destinations
import Foundation
import PostgreSQL
import Testing

@testable import CloudServices

/// What every store of destinations promises, asked of each kind.
@Suite(.serialized) struct DestinationStoreTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case files, database
        /// Of a program that is newer than this one.
        case newerDatabase = "database of a newer program"
        var testDescription: String { rawValue }
        static var here: [Kind] { PostgreSQLServer.isThere ? allCases : [.files] }
    }

    /// Two services' views of one new store, and what ends it.
    private struct Fixture {
        let first: any DestinationStore
        let second: any DestinationStore
        let end: () -> Void

        init(_ kind: Kind) throws {
            switch kind {
            case .files:
                let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
                (first, second) = (DestinationFiles(directory: folder.path), DestinationFiles(directory: folder.path))
                end = { try? FileManager.default.removeItem(at: folder) }
            case .database, .newerDatabase:
                let server = try PostgreSQLServer()
                let address = DatabaseAddress(url: try server.url(), password: nil)
                _ = try StoreSchema.migrate(Database(address))
                if kind == .newerDatabase { try NewerSchema.make(Database(address)) }
                first = try DestinationDatabase(StoreVault(Database(address), password: "a key of the test"))
                second = try DestinationDatabase(StoreVault(Database(address), password: "a key of the test"))
                end = { server.stop() }
            }
        }

        /// As the feed does when the store tells of a change.
        func tell() throws { for store in [first, second] { try (store as? DestinationDatabase)?.refresh() } }
    }

    private static func destination(_ name: String, _ url: String = "http://a:1") throws -> NamedConfiguration {
        let properties = [
            "Name": name, "Type": "HTTP", "URL": url, "User": "'; DROP TABLE configuration; --", "Password": "geheim ß",
        ]
        return try NamedConfiguration(.destinations, properties)
    }

    private static let scope = Scope(tenant: "acme")

    @Test(arguments: Kind.here)
    func `What one writes both read, under its name, level and kind only`(_ kind: Kind) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        let made = try Self.destination("ONE")
        #expect(try fixture.first.create(made, Self.scope) == .done(etag: made.entityTag))
        #expect(
            fixture.first.entry(.destinations, Self.scope, "ONE")?.configuration == made,
            "at once where it was written"
        )
        #expect(try fixture.second.create(made, Self.scope) == .exists)
        try fixture.tell()
        let found = try #require(fixture.second.entry(.destinations, Self.scope, "ONE"))
        #expect(found.configuration == made && abs(found.modified - Int(Date().timeIntervalSince1970)) < 60)
        #expect(fixture.second.entry(.fragments, Self.scope, "ONE") == nil)
        #expect(fixture.second.entry(.destinations, Scope(tenant: "acme", instance: "i"), "ONE") == nil)
        #expect(fixture.second.entry(.destinations, Scope(tenant: "other"), "ONE") == nil)
        #expect(fixture.second.entry(.destinations, Self.scope, "one") == nil)
        #expect(fixture.second.findings([Self.scope]).isEmpty)
        let level = Scope(tenant: "acme", instance: "i")
        _ = try fixture.second.create(Self.destination("TWO"), level)
        _ = try fixture.second.create(Self.destination("A"), Self.scope)
        try fixture.tell()
        #expect(fixture.first.all(.destinations, Self.scope).map(\.configuration.name) == ["A", "ONE"])
        #expect(fixture.first.all(.destinations, level).map(\.configuration.name) == ["TWO"])
    }

    @Test(arguments: Kind.here) func `Changes and removals are those of what is there, and say so where nothing is`(
        _ kind: Kind
    ) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        #expect(try fixture.first.update(Self.destination("ONE"), Self.scope) == .missing)
        #expect(try !fixture.first.remove(.destinations, Self.scope, "ONE"))
        #expect(try !fixture.first.changeLabels(.destinations, Self.scope, "ONE") { $0 })
        _ = try fixture.first.create(Self.destination("ONE"), Self.scope)
        let other = try Self.destination("ONE", "http://b:2")
        #expect(try fixture.second.update(other, Self.scope) == .done(etag: other.entityTag))
        try fixture.tell()
        #expect(fixture.first.entry(.destinations, Self.scope, "ONE")?.configuration == other)
        #expect(try fixture.first.remove(.destinations, Self.scope, "ONE"))
        try fixture.tell()
        #expect(fixture.second.entry(.destinations, Self.scope, "ONE") == nil)
        #expect(try !fixture.second.remove(.destinations, Self.scope, "ONE"))
    }

    @Test(arguments: Kind.here)
    func `Labels are added to those that are there, and a fault in a change changes nothing`(_ kind: Kind) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        _ = try fixture.first.create(Self.destination("ONE"), Self.scope)
        try fixture.tell()
        let (a, b) = (Label(key: "a", values: ["1", "\"'\\"]), Label(key: "b", values: []))
        #expect(try fixture.first.changeLabels(.destinations, Self.scope, "ONE") { $0 + [a] })
        #expect(try fixture.second.changeLabels(.destinations, Self.scope, "ONE") { $0 + [b] })
        try fixture.tell()
        #expect(fixture.first.entry(.destinations, Self.scope, "ONE")?.labels == [a, b])
        #expect(throws: DestinationError.self) {
            try fixture.first.changeLabels(.destinations, Self.scope, "ONE") { _ in throw DestinationError("no") }
        }
        #expect(fixture.first.entry(.destinations, Self.scope, "ONE")?.labels == [a, b])
    }

    @Test(.enabled(if: PostgreSQLServer.isThere))
    func `The database has neither passwords nor anything else of a destination in the clear`() throws {
        let server = try PostgreSQLServer()
        defer { server.stop() }
        let address = DatabaseAddress(url: try server.url(), password: nil)
        let database = Database(address)
        _ = try StoreSchema.migrate(database)
        let store = try DestinationDatabase(StoreVault(database, password: "right"))
        _ = try store.create(Self.destination("ONE"), Self.scope)
        let rows = try database.use { (connection) throws(DatabaseError) in
            try connection.run("SELECT row_to_json(c)::text FROM configuration c")
        }
        #expect(!"\(rows)".contains("geheim") && !"\(rows)".contains("http"))
        #expect(throws: (any Error).self) {
            _ = try DestinationDatabase(StoreVault(database, password: "wrong")).create(
                Self.destination("B"),
                Self.scope
            )
        }
        let other = try DestinationDatabase(StoreVault(Database(address), password: "wrong"))
        #expect(other.findings([Self.scope]).first?.contains("store.key-file") == true)
        #expect(other.entry(.destinations, Self.scope, "ONE") == nil)
    }
}
