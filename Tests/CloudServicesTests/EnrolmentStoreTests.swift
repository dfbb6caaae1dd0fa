import ConnectorTestSupport
import Cryptography
import Foundation
import PostgreSQL
import Testing

@testable import CloudServices

/// What every store of an enrolment authority promises, asked of each kind.
@Suite(.serialized) struct EnrolmentStoreTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case folder, database
        /// Of a program that is newer than this one.
        case newerDatabase = "database of a newer program"
        var testDescription: String { rawValue }
        static var here: [Kind] { PostgreSQLServer.isThere ? allCases : [.folder] }
    }

    /// Two instances' views of one new store, and what ends it.
    private struct Fixture {
        let first: any EnrolmentStore
        let second: any EnrolmentStore
        let end: () -> Void

        init(_ kind: Kind) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
            switch kind {
            case .folder:
                (first, second) = (try EnrolmentFolder(folder.path), try EnrolmentFolder(folder.path))
                end = { try? FileManager.default.removeItem(at: folder) }
            case .database, .newerDatabase:
                let server = try PostgreSQLServer()
                let address = DatabaseAddress(url: try server.url(), password: nil)
                _ = try StoreSchema.migrate(Database(address))
                if kind == .newerDatabase { try NewerSchema.make(Database(address)) }
                first = try EnrolmentDatabase(StoreVault(Database(address), password: "a key of the test"))
                second = try EnrolmentDatabase(StoreVault(Database(address), password: "a key of the test"))
                end = { server.stop() }
            }
        }
    }

    private static var token: StoredToken {
        StoredToken(
            subaccount: "sub'; DROP TABLE enrolment; --",
            locationID: "Ö \\ \"",
            expires: Int(Date().timeIntervalSince1970) + 600
        )
    }

    @Test(arguments: Kind.here) func `The authority is made once, and the same for all`(_ kind: Kind) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        let make = { try CertificateIssuer(commonName: "made", days: 2).authority }
        let authority = try fixture.first.authority(make)
        #expect(try fixture.second.authority(make).certificate == authority.certificate)
        #expect(try fixture.second.authority(make).privateKey == authority.privateKey)
    }

    @Test(arguments: Kind.here) func `Of many who use one token at once, exactly one gets it`(_ kind: Kind) async throws
    {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        let (first, second) = (fixture.first, fixture.second)
        for round in 0..<20 {
            try first.add(token: "\(round)", Self.token, lifetime: 600)
            let winners = try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for number in 0..<8 {
                    tasks.addTask { try (number % 2 == 0 ? first : second).take(token: "\(round)") != nil }
                }
                return try await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(winners == 1)
        }
        #expect(try second.take(token: "unknown") == nil)
    }

    @Test(arguments: Kind.here)
    func `A token says what it was made for, whatever characters that has; expired ones say so`(_ kind: Kind) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        try fixture.first.add(token: "a", Self.token, lifetime: 600)
        let listed = try fixture.second.tokens()
        #expect(
            listed.count == 1 && listed[0].subaccount == Self.token.subaccount
                && listed[0].locationID == Self.token.locationID
        )
        #expect(abs(listed[0].expires - Self.token.expires) <= 60)
        let taken = try #require(try fixture.second.take(token: "a"))
        #expect(!taken.isExpired && taken.token.subaccount == Self.token.subaccount)
        var old = Self.token
        old.expires -= 1000
        try fixture.first.add(token: "b", old, lifetime: -400)
        #expect(try fixture.second.tokens().isEmpty)
        #expect(try fixture.second.take(token: "b")?.isExpired == true)
    }

    @Test(arguments: Kind.here)
    func `Certificates are listed with their instances; revoked ones are known to all until they have run out`(
        _ kind: Kind
    ) throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        let now = Int(Date().timeIntervalSince1970)
        for (serial, life, instance) in [("A1", 1000, "north"), ("B2", -100_000, nil), ("C3", 1000, nil)]
            as [(String, Int, String?)]
        {
            #expect(try fixture.first.add(Self.issued(serial, expires: now + life, instance), unlessRevoked: nil))
        }
        let listed = try fixture.second.issued().sorted { $0.serial < $1.serial }
        #expect(listed.map(\.serial) == ["A1", "B2", "C3"] && listed.map(\.instance) == ["north", nil, nil])
        #expect(listed[0].expires == now + 1000 && abs(listed[0].issuedAt - now) <= 60)
        let other = Self.issued("D4", "other", expires: now + 1000)
        #expect(try fixture.second.add(other, unlessRevoked: "A1"))
        #expect(try fixture.first.revoke(Self.identity, instance: "south").isEmpty)
        #expect(try fixture.first.revoke(Self.identity, instance: "north") == ["A1"])
        #expect(try fixture.second.revoked() == ["A1"])
        #expect(try fixture.first.revoke(Self.identity, instance: nil) == ["B2", "C3"])
        #expect(
            try fixture.second.revoke(Self.identity, instance: nil).isEmpty
                && fixture.second.revoked() == ["A1", "B2", "C3"]
        )
        // Whoever asks with one of these gets no new one.
        #expect(try !fixture.second.add(Self.issued("E5", expires: now + 1000), unlessRevoked: "A1"))
        #expect(try fixture.first.issued().allSatisfy { $0.serial != "E5" })
        try fixture.second.removeExpiredCertificates()
        #expect(try fixture.first.issued().map(\.serial).sorted() == ["A1", "C3", "D4"])
        #expect(try fixture.first.revoked() == ["A1", "C3"])
    }

    @Test(arguments: Kind.here) func `Of a renewal and a revocation at once, no certificate is left that counts`(
        _ kind: Kind
    ) async throws {
        let fixture = try Fixture(kind)
        defer { fixture.end() }
        let (first, second) = (fixture.first, fixture.second)
        let end = Int(Date().timeIntervalSince1970) + 1000
        _ = try first.add(Self.issued("R0", expires: end), unlessRevoked: nil)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for number in 1...200 {
                    guard try second.add(Self.issued("R\(number)", expires: end), unlessRevoked: "R0") else { return }
                }
            }
            tasks.addTask { _ = try first.revoke(Self.identity, instance: nil) }
            try await tasks.waitForAll()
        }
        let revoked = try first.revoked()
        #expect(try first.issued().allSatisfy { revoked.contains($0.serial) } && !revoked.isEmpty)
    }

    private static let identity = ConnectorIdentity(subaccount: "s", locationID: "")

    private static func issued(
        _ serial: String,
        _ subaccount: String = "s",
        expires: Int,
        _ instance: String? = nil
    ) -> EnrolmentAuthority.Issued {
        EnrolmentAuthority.Issued(
            serial: serial,
            subaccount: subaccount,
            locationID: "",
            issuedAt: Int(Date().timeIntervalSince1970),
            expires: expires,
            isRevoked: nil,
            instance: instance
        )
    }

    // MARK: The database's own

    @Test(.enabled(if: PostgreSQLServer.isThere))
    func `Tables are made once, forward only; without them a service says which command makes them`() async throws {
        let server = try PostgreSQLServer()
        defer { server.stop() }
        let address = DatabaseAddress(url: try server.url(), password: nil)
        #expect(throws: (any Error).self) { try EnrolmentDatabase(StoreVault(Database(address), password: "k")) }
        do { _ = try EnrolmentDatabase(StoreVault(Database(address), password: "k")) } catch {
            #expect("\(error)".contains("connectord store migrate"))
        }
        let before = try await withThrowingTaskGroup(of: Int.self) { tasks in
            for _ in 0..<4 { tasks.addTask { try StoreSchema.migrate(Database(address)) } }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
        #expect(
            before.sorted() == [0] + [Int](repeating: StoreSchema.version, count: 3),
            "one of four at once has made them"
        )
        // One of a later program: this one goes on beside it.
        try Database(address).use { (connection) throws(DatabaseError) in
            try connection.run("INSERT INTO store_version (version) VALUES (99)")
            try connection.run("ALTER TABLE enrolment ADD COLUMN created_by text NOT NULL DEFAULT ''")
        }
        let store = try EnrolmentDatabase(StoreVault(Database(address), password: "k"))
        try store.add(token: "a", Self.token, lifetime: 60)
        #expect(try store.take(token: "a") != nil)
    }

    @Test(.enabled(if: PostgreSQLServer.isThere))
    func `The authority's key opens with the key of the file only, and stands nowhere in the database`() throws {
        let server = try PostgreSQLServer()
        defer { server.stop() }
        let database = Database(DatabaseAddress(url: try server.url(), password: nil))
        _ = try StoreSchema.migrate(database)
        let make = { try CertificateIssuer(commonName: "made", days: 2).authority }
        _ = try EnrolmentDatabase(StoreVault(database, password: "right")).authority(make)
        do {
            _ = try EnrolmentDatabase(StoreVault(database, password: "wrong")).authority(make)
            Issue.record("opened with another key")
        } catch {
            #expect("\(error)".contains("store.key-file is not the one"))
        }
        let stored = try database.use { (connection) throws(DatabaseError) in
            try connection.run("SELECT sealed FROM secret WHERE name = 'enrolment-authority'")
        }
        let text = Data(base64Encoded: (stored.first?.first ?? nil) ?? "") ?? Data()
        #expect(text.count > 100 && text.range(of: Data("PRIVATE KEY".utf8)) == nil)
    }

    @Test(.enabled(if: PostgreSQLServer.isThere))
    func `A server that was away is asked again, and what is not safe to ask twice is not`() throws {
        let server = try PostgreSQLServer()
        defer { server.stop() }
        let database = Database(DatabaseAddress(url: try server.url(), password: nil))
        _ = try StoreSchema.migrate(database)
        let store = try EnrolmentDatabase(StoreVault(database, password: "k"))
        try store.add(token: "a", Self.token, lifetime: 600)
        try server.halt()
        #expect(throws: DatabaseError.self) { try store.tokens() }
        try server.start()
        #expect(Rig.eventually { (try? store.tokens().count) == 1 })
        try server.halt("fast")
        try server.start()
        // The connection of before is gone: reading is repeated on a new one, using a token up is not.
        #expect(throws: DatabaseError.self) { try store.take(token: "a") }
        #expect(try store.tokens().count == 1 && store.take(token: "a") != nil)
    }
}

/// Tables as a later migration may leave them: they only gain.
enum NewerSchema {
    static func make(_ database: Database) throws {
        try database.use { (connection) throws(DatabaseError) in
            for table in ["secret", "enrolment", "certificate", "configuration"] {
                try connection.run(
                    "ALTER TABLE \(table) ADD COLUMN later text, ADD COLUMN counted int NOT NULL DEFAULT 7"
                )
            }
            try connection.run("INSERT INTO store_version (version) VALUES (999)")
        }
    }
}
