internal import ConnectivityService
internal import Cryptography
internal import JSON
package import PostgreSQL
internal import Synchronization
package import Tokens

/// What is encrypted before it goes to the database, with a key that stays outside of it.
///
/// All that is written is encrypted with one key, made of the password once: its salt stands in the row `vault`.
package final class StoreVault: Sendable {
    let database: Database
    private let password: String
    private let known = Mutex<[[UInt8]: SecretBox.Key]>([:])
    private let current = Mutex<SecretBox.Key?>(nil)
    private static let name = "vault"

    package init(_ database: Database, password: String) { (self.database, self.password) = (database, password) }

    /// - Throws: where the store was written with another password. A store that is empty takes any.
    package func check() throws {
        if let sealed = try secret(Self.name) { _ = try open(sealed, "the store") }
    }

    func seal(_ bytes: [UInt8]) throws -> String { Base64.encode(try SecretBox.seal(bytes, try key())) }

    /// Together with the place that it is for: whoever can write to the database cannot have it opened as something else.
    func seal(_ bytes: [UInt8], for place: [String]) throws -> String { try seal(Self.label(place) + bytes) }

    /// - Parameter what: for the message.
    func open(_ sealed: String, _ what: String) throws -> [UInt8] {
        guard let bytes = try open(sealed) else {
            throw EnrolmentError("store.key-file is not the one with which \(what) was encrypted")
        }
        return bytes
    }

    func open(_ sealed: String, _ what: String, for place: [String]) throws -> [UInt8] {
        let (bytes, label) = (try open(sealed, what), Self.label(place))
        guard bytes.starts(with: label) else {
            throw EnrolmentError("\(what) was written for another place of the store")
        }
        return Array(bytes.dropFirst(label.count))
    }

    private static func label(_ place: [String]) -> [UInt8] { JSONLines.encode(place) }

    private func open(_ sealed: String) throws -> [UInt8]? {
        let bytes = Base64.decode(sealed) ?? []
        // Without the lock: a key that is not known takes a moment to make.
        var keys = known.withLock { $0 }
        let opened = try SecretBox.open(bytes, password: password, known: &keys)
        let all = keys
        known.withLock { $0.merge(all) { old, _ in old } }
        return opened
    }

    /// The one that all services write with.
    private func key() throws -> SecretBox.Key {
        if let key = current.withLock({ $0 }) { return key }
        if try secret(Self.name) == nil {
            let made = try SecretBox.Key(password: password)
            try add(Self.name, Base64.encode(try SecretBox.seal(Array("connectord".utf8), made)))
        }
        guard let sealed = try secret(Self.name) else { throw EnrolmentError("the store has lost its vault just now") }
        _ = try open(sealed, "the store")
        let salt = SecretBox.salt(of: Base64.decode(sealed) ?? [])
        guard let key = known.withLock({ $0[salt] }) else { throw EnrolmentError("the store's vault cannot be used") }
        current.withLock { $0 = key }
        return key
    }

    // MARK: Rows

    func secret(_ name: String) throws -> String? {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("SELECT sealed FROM secret WHERE name = $1", [name])
        }.first?.first ?? nil
    }

    /// What is there already stays.
    func add(_ name: String, _ sealed: String) throws {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                [name, sealed]
            )
        }
    }

    /// A document that all services share; a change of it is told under its name.
    package func document(_ name: String) -> any SecretDocument { SharedDocument(vault: self, row: name) }

    private struct SharedDocument: SecretDocument {
        let vault: StoreVault
        let row: String

        var name: String { "\(row) in the store" }

        func read() throws -> [UInt8]? { try vault.secret(row).map { try vault.open($0, name, for: [row]) } }
        func prepare() throws {}

        func change(_ body: ([UInt8]?) throws -> [UInt8]?) throws {
            // Before the transaction: it asks the database, too.
            _ = try vault.key()
            var failure: (any Error)?
            try vault.database.use { (connection) throws(DatabaseError) in
                try connection.transaction { () throws(DatabaseError) in
                    try connection.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 7243392104))", [row])
                    let found =
                        try connection.run("SELECT sealed FROM secret WHERE name = $1", [row]).first?.first ?? nil
                    do {
                        let present = try found.map { try vault.open($0, name, for: [row]) }
                        guard let new = try body(present) else { return }
                        let sealed = try vault.seal(new, for: [row])
                        try connection.run(
                            "INSERT INTO secret (name, sealed) VALUES ($1, $2) "
                                + "ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
                            [row, sealed]
                        )
                        try connection.run("SELECT pg_notify($1, $2)", [StoreSchema.channel, row])
                    } catch let error as DatabaseError {
                        throw error
                    } catch {
                        failure = error
                    }
                }
            }
            if let failure { throw failure }
        }
    }
}
