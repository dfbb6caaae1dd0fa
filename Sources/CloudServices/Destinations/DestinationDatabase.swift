package import Destinations
internal import HostSystem
internal import JSON
internal import PostgreSQL
internal import Synchronization

/// Destinations, fragments and certificates that several services share, in PostgreSQL; encrypted, since many hold passwords. What was
/// read last is at hand, with or without the database.
package final class DestinationDatabase: DestinationStore {
    /// What is told of on `StoreSchema.channel`.
    package static let topic = "configuration"

    private struct Place: Hashable {
        var scope: Scope
        var kind: ConfigurationKind
    }

    private struct Held {
        var version: Int
        var stored: StoredConfiguration
    }

    private struct Row {
        var place: Place
        var name: String
        var version: Int
    }

    private let vault: StoreVault
    private let held = Mutex<[Place: [String: Held]]>([:])
    private let problems = Mutex<[(scope: Scope, text: String)]>([])
    /// One at a time reads: of two, the one with the older answer may come last.
    private let reading = Mutex(())

    /// - Throws: where they cannot be read.
    package init(_ vault: StoreVault) throws {
        self.vault = vault
        try refresh()
    }

    private var database: Database { vault.database }

    // MARK: Reading

    package func all(_ kind: ConfigurationKind, _ scope: Scope) -> [StoredConfiguration] {
        (held.withLock { $0[Place(scope: scope, kind: kind)] } ?? [:]).values.map(\.stored)
            .sorted { $0.configuration.name < $1.configuration.name }
    }

    package func entry(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) -> StoredConfiguration? {
        held.withLock { $0[Place(scope: scope, kind: kind)]?[name]?.stored }
    }

    package func findings(_ scopes: [Scope]) -> [String] {
        problems.withLock { $0.filter { scopes.contains($0.scope) }.map(\.text) }
    }

    /// Those that have configurations.
    package func scopes() -> [Scope] { Array(Set(held.withLock { $0.keys.map(\.scope) })) }

    /// Reads what has changed since the last time.
    package func refresh() throws {
        try reading.withLock { _ in
            let rows = try list()
            let known = held.withLock { $0 }
            var new: [Place: [String: Held]] = [:]
            var missing: [Row] = []
            for row in rows {
                if let old = known[row.place]?[row.name], old.version == row.version {
                    new[row.place, default: [:]][row.name] = old
                } else {
                    missing.append(row)
                }
            }
            var faults: [(scope: Scope, text: String)] = []
            for row in missing {
                do {
                    if let loaded = try load(row) { new[row.place, default: [:]][row.name] = loaded }
                } catch let error as DatabaseError {
                    throw error
                } catch {
                    faults.append((row.place.scope, "\(row.place.kind.rawValue)/\(row.name): \(error)"))
                }
            }
            held.withLock { [new] held in
                // What was written here since the list was read is not in it yet.
                var new = new
                for (place, entries) in held {
                    for (name, entry) in entries where entry.version > (known[place]?[name]?.version ?? 0) {
                        if entry.version > (new[place]?[name]?.version ?? 0) { new[place, default: [:]][name] = entry }
                    }
                }
                held = new
            }
            problems.withLock { [faults] in $0 = faults }
        }
    }

    private func list() throws(DatabaseError) -> [Row] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("SELECT tenant, instance, kind, name, version FROM configuration")
        }.compactMap { row in
            guard let tenant = row[0], let kind = row[2].flatMap(ConfigurationKind.init), let name = row[3],
                let version = row[4].flatMap({ Int($0) })
            else { return nil }
            let instance = (row[1] ?? "").isEmpty ? nil : row[1]
            return Row(
                place: Place(scope: Scope(tenant: tenant, instance: instance), kind: kind),
                name: name,
                version: version
            )
        }
    }

    private func load(_ row: Row) throws -> Held? {
        let found = try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "SELECT sealed, labels, version, extract(epoch FROM changed_at)::bigint FROM configuration " + Self.key,
                Self.values(row.place, row.name)
            )
        }.first
        guard let found, let sealed = found[0], let version = found[2].flatMap({ Int($0) }) else { return nil }
        let properties = try JSONLines.decode(
            [String: String].self,
            try vault.open(sealed, row.name, for: Self.path(row.place, row.name))
        )
        return Held(
            version: version,
            stored: StoredConfiguration(
                configuration: try NamedConfiguration(row.place.kind, properties),
                labels: try Self.labels(found[1]),
                modified: found[3].flatMap { Int($0) } ?? 0
            )
        )
    }

    private static func labels(_ text: String?) throws -> [Label] {
        try JSONLines.decode([Label].self, Array((text ?? "[]").utf8))
    }

    private static let key = "WHERE tenant = $1 AND instance = $2 AND kind = $3 AND name = $4"

    private static func path(_ place: Place, _ name: String) -> [String] {
        [place.scope.tenant, place.scope.instance ?? "", place.kind.rawValue, name]
    }
    private static func values(_ place: Place, _ name: String) -> [String?] { path(place, name) }

    // MARK: Writing

    package func create(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome {
        let place = Place(scope: scope, kind: configuration.kind)
        guard held.withLock({ $0[place]?.count ?? 0 }) < ConfigurationFolder.maxEntries else {
            throw DestinationError("There are \(ConfigurationFolder.maxEntries) already, which is the limit")
        }
        return try write(
            "INSERT INTO configuration (tenant, instance, kind, name, sealed, version) "
                + "VALUES ($1, $2, $3, $4, $5, nextval('configuration_version')) ON CONFLICT DO NOTHING RETURNING version",
            configuration,
            place
        ) ? .done(etag: configuration.entityTag) : .exists
    }

    package func update(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome {
        try write(
            "UPDATE configuration SET sealed = $5, version = nextval('configuration_version'), changed_at = now() "
                + Self.key + " RETURNING version",
            configuration,
            Place(scope: scope, kind: configuration.kind)
        ) ? .done(etag: configuration.entityTag) : .missing
    }

    package func remove(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) throws -> Bool {
        let place = Place(scope: scope, kind: kind)
        let isDone =
            try change("DELETE FROM configuration " + Self.key + " RETURNING version", Self.values(place, name)) != nil
        held.withLock { $0[place]?[name] = nil }
        return isDone
    }

    package func changeLabels(
        _ kind: ConfigurationKind,
        _ scope: Scope,
        _ name: String,
        _ change: ([Label]) throws -> [Label]
    ) throws -> Bool {
        let values = Self.values(Place(scope: scope, kind: kind), name)
        var failure: (any Error)?
        var changed: (version: Int, labels: [Label])?
        let isDone = try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                let rows = try connection.run("SELECT labels FROM configuration " + Self.key + " FOR UPDATE", values)
                guard let row = rows.first else { return false }
                let labels: [Label]
                do { labels = try change(try Self.labels(row[0])) } catch {
                    failure = error
                    return false
                }
                let version = try connection.run(
                    "UPDATE configuration SET labels = $5, version = nextval('configuration_version') " + Self.key
                        + " RETURNING version",
                    values + [String(decoding: JSONLines.encode(labels), as: UTF8.self)]
                ).first?.first?.flatMap { Int($0) }
                if let version { changed = (version, labels) }
                try Self.tell(connection)
                return true
            }
        }
        if let failure { throw failure }
        if let changed {
            held.withLock { held in
                let place = Place(scope: scope, kind: kind)
                held[place]?[name]?.stored.labels = changed.labels
                held[place]?[name]?.version = changed.version
            }
        }
        return isDone
    }

    /// Who has written reads it back here at once, without asking the database.
    ///
    /// - Returns: whether there was a row to write.
    private func write(_ statement: String, _ configuration: NamedConfiguration, _ place: Place) throws -> Bool {
        let name = configuration.name
        let sealed = try vault.seal(JSONLines.encode(configuration.properties), for: Self.path(place, name))
        guard let version = try change(statement, Self.values(place, name) + [sealed]) else { return false }
        held.withLock { held in
            let labels = held[place]?[name]?.stored.labels ?? []
            let stored = StoredConfiguration(
                configuration: configuration,
                labels: labels,
                modified: WallClock.seconds()
            )
            held[place, default: [:]][name] = Held(version: version, stored: stored)
        }
        return true
    }

    /// - Returns: the version that it has given; nil where there was no row to write.
    private func change(_ statement: String, _ values: [String?]) throws(DatabaseError) -> Int? {
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                guard let row = try connection.run(statement, values).first else { return nil }
                try Self.tell(connection)
                return row[0].flatMap { Int($0) }
            }
        }
    }

    private static func tell(_ connection: DatabaseConnection) throws(DatabaseError) {
        try connection.run("SELECT pg_notify($1, $2)", [StoreSchema.channel, topic])
    }
}
