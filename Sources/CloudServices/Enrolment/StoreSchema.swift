internal import ConnectivityService
package import PostgreSQL

/// The tables of the store, and how they came to be. Forward only: a program of before goes on beside one of after, so nothing that it
/// uses is ever taken away in the same step that no longer needs it.
package enum StoreSchema {
    /// On which changes are told of.
    package static let channel = "connectord"

    /// Each from the version of its place to the next one. What stands here is never changed.
    private static let migrations: [[String]] = [
        [
            "CREATE TABLE secret (name text PRIMARY KEY, sealed text NOT NULL)",
            "CREATE TABLE enrolment (token_hash text PRIMARY KEY, subaccount text NOT NULL, location_id text NOT NULL, "
                + "expires_at timestamptz NOT NULL)",
            "CREATE TABLE certificate (serial text PRIMARY KEY, subaccount text NOT NULL, location_id text NOT NULL, instance text, "
                + "issued_at timestamptz NOT NULL, not_after timestamptz NOT NULL, revoked_at timestamptz)",
            "CREATE INDEX certificate_identity ON certificate (subaccount, location_id)",
        ],
        [
            "CREATE TABLE service (name text PRIMARY KEY, run text NOT NULL, address text NOT NULL, version text NOT NULL, "
                + "started_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL)",
            "CREATE TABLE tunnel (service text NOT NULL REFERENCES service ON DELETE CASCADE, subaccount text NOT NULL, "
                + "location_id text NOT NULL, session text NOT NULL, number bigint NOT NULL, is_up boolean NOT NULL, "
                + "changed bigint NOT NULL, since timestamptz NOT NULL DEFAULT now(), "
                + "PRIMARY KEY (service, subaccount, location_id))",
            "CREATE INDEX tunnel_changed ON tunnel (changed)",
            "CREATE INDEX tunnel_identity ON tunnel (subaccount, location_id)",
            "CREATE TABLE session (subaccount text NOT NULL, location_id text NOT NULL, session text NOT NULL, "
                + "number bigint NOT NULL, since timestamptz NOT NULL DEFAULT now(), "
                + "PRIMARY KEY (subaccount, location_id, session))",
            "CREATE SEQUENCE session_number", "CREATE SEQUENCE directory_change",
        ],
        [
            "CREATE TABLE configuration (tenant text NOT NULL, instance text NOT NULL, kind text NOT NULL, name text NOT NULL, "
                + "sealed text NOT NULL, labels text NOT NULL DEFAULT '[]', version bigint NOT NULL, "
                + "changed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant, instance, kind, name))",
            "CREATE SEQUENCE configuration_version",
        ],
    ]

    /// What daily use needs, and no more.
    private static let rights: [(table: String, rights: [String])] =
        ["secret", "enrolment", "certificate", "service", "tunnel", "session", "configuration"]
        .map { ($0, ["SELECT", "INSERT", "UPDATE", "DELETE"]) } + [("store_version", ["SELECT"])]
    private static let sequences = ["session_number", "directory_change", "configuration_version"]

    /// Gives a user the rights of daily use.
    package static func grant(_ database: Database, to user: String) throws(DatabaseError) {
        let name = "\"\(user.replacing("\"", with: "\"\""))\""
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                for (table, rights) in rights {
                    try connection.run("GRANT \(rights.joined(separator: ", ")) ON \(table) TO \(name)")
                }
                for sequence in sequences { try connection.run("GRANT USAGE ON SEQUENCE \(sequence) TO \(name)") }
            }
        }
    }

    /// What the user who asks may not, of what daily use needs.
    package static func missingRights(_ database: Database) throws(DatabaseError) -> [String] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            var missing: [String] = []
            for (table, rights) in rights {
                for right in rights {
                    let rows = try connection.run("SELECT has_table_privilege($1, $2)", [table, right])
                    if rows.first?.first != "t" { missing.append("\(right) ON \(table)") }
                }
            }
            for sequence in sequences {
                let rows = try connection.run("SELECT has_sequence_privilege($1, 'USAGE')", [sequence])
                if rows.first?.first != "t" { missing.append("USAGE ON SEQUENCE \(sequence)") }
            }
            return missing
        }
    }

    /// What this program needs.
    package static var version: Int { migrations.count }

    /// The version that is there; 0 for an empty database.
    package static func found(_ database: Database) throws(DatabaseError) -> Int {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in try found(connection) }
    }

    private static func found(_ connection: DatabaseConnection) throws(DatabaseError) -> Int {
        guard try connection.run("SELECT to_regclass('store_version')").first?.first ?? nil != nil else { return 0 }
        return try connection.run("SELECT max(version) FROM store_version").first?.first?.flatMap { Int($0) } ?? 0
    }

    /// - Throws: where the tables are not there yet, or too old. Newer ones do: they have all that these have.
    static func check(_ database: Database) throws {
        let found = try found(database)
        guard found >= version else {
            throw EnrolmentError(
                "the store at \(database.address.shown) has version \(found) of the tables, and this program needs \(version): run "
                    + "`connectord store migrate`"
            )
        }
    }

    /// Makes what is missing, all or nothing. Two who do it at once do it one after the other.
    ///
    /// - Returns: the version that was there before.
    package static func migrate(_ database: Database) throws(DatabaseError) -> Int {
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                try connection.run("SELECT pg_advisory_xact_lock(7243392101)")
                try connection.run(
                    "CREATE TABLE IF NOT EXISTS store_version (version int PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())"
                )
                let before = try found(connection)
                for (place, statements) in migrations.enumerated().dropFirst(before) {
                    for statement in statements { try connection.run(statement) }
                    try connection.run("INSERT INTO store_version (version) VALUES ($1)", ["\(place + 1)"])
                }
                return before
            }
        }
    }
}
