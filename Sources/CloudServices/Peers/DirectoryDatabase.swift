package import ConnectivityService
package import Cryptography
internal import JSON
package import PostgreSQL
internal import TextFormats

/// The directory of services and their tunnels, in PostgreSQL. Whether a service is there is judged by the database's clock.
package struct DirectoryDatabase: Sendable {
    /// What a service says of one connector.
    package struct Change: Codable, Sendable, Equatable {
        package var subaccount: String
        package var location_id: String
        package var session: String
        package var is_up: Bool

        package init(_ identity: ConnectorIdentity, session: String, isUp: Bool) {
            (subaccount, location_id) = (identity.subaccount, identity.locationID)
            (self.session, is_up) = (session, isUp)
        }
    }

    package struct Row: Sendable {
        package var service: String
        package var identity: ConnectorIdentity
        /// Nil where it is not there any more.
        package var entry: PeerDirectory.Entry?
    }

    /// What a renewal found.
    package enum Renewal: Sendable { case renewed, gone, taken }

    /// Seconds after which a service that has not renewed its lease is not there.
    package static let lifetime = 15
    /// What is told of on `StoreSchema.channel`.
    package static let topic = "directory"

    private let database: Database
    private let service: PeerDirectory.Service

    package init(_ database: Database, _ service: PeerDirectory.Service) {
        (self.database, self.service) = (database, service)
    }

    // MARK: The service's own part

    /// Takes the name, whoever had it: a process that was started again does not wait for the lease of the one before.
    package func register() throws(DatabaseError) {
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                try Self.lock(connection)
                try connection.run("DELETE FROM tunnel WHERE service = $1", [service.name])
                try connection.run(
                    "INSERT INTO service (name, run, address, version, expires_at) "
                        + "VALUES ($1, $2, $3, $4, now() + make_interval(secs => \(Self.lifetime))) "
                        + "ON CONFLICT (name) DO UPDATE SET run = excluded.run, address = excluded.address, "
                        + "version = excluded.version, started_at = now(), expires_at = excluded.expires_at",
                    [service.name, service.run, service.address.description, service.version]
                )
                try Self.tell(connection)
            }
        }
    }

    package func renew() throws(DatabaseError) -> Renewal {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            let rows = try connection.run(
                "WITH before AS (SELECT expires_at < now() AS has_lapsed FROM service WHERE name = $1) "
                    + "UPDATE service SET expires_at = now() + make_interval(secs => \(Self.lifetime)) "
                    + "WHERE name = $1 AND run = $2 RETURNING (SELECT has_lapsed FROM before)",
                [service.name, service.run]
            )
            if let row = rows.first {
                // The others have to look again.
                if row[0] == "t" { try Self.tell(connection) }
                return .renewed
            }
            let others = try connection.run(
                "SELECT run FROM service WHERE name = $1 AND expires_at > now()",
                [service.name]
            )
            return others.isEmpty ? .gone : .taken
        }
    }

    /// Changes with each connection to the database.
    package var generation: Int { database.generation }

    /// Takes it out of the directory, with its tunnels.
    package func leave() throws(DatabaseError) {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("DELETE FROM service WHERE name = $1 AND run = $2", [service.name, service.run])
            try Self.tell(connection)
        }
    }

    /// Forgets what nobody asks for any more.
    package func cleanUp() throws(DatabaseError) {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("DELETE FROM service WHERE expires_at < now() - interval '1 hour'")
            try connection.run(
                "DELETE FROM session s WHERE since < now() - interval '1 day' AND NOT EXISTS (SELECT 1 FROM tunnel t "
                    + "WHERE t.subaccount = s.subaccount AND t.location_id = s.location_id AND t.session = s.session)"
            )
            try connection.run(
                "DELETE FROM tunnel WHERE service = $1 AND NOT is_up AND since < now() - interval '10 minutes'",
                [service.name]
            )
        }
    }

    /// Says which connectors have come or gone. A session keeps its number, wherever it comes and goes; one that is new gets the greatest.
    /// Those that serve side by side are as old as the first of them that is there.
    package func publish(_ changes: [Change]) throws(DatabaseError) {
        let list = String(decoding: JSONLines.encode(changes), as: UTF8.self)
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                // One after the other, so that whoever reads up to a number has read all before it.
                try Self.lock(connection)
                try connection.run(
                    "INSERT INTO session (subaccount, location_id, session, number) "
                        + "SELECT r.subaccount, r.location_id, r.session, nextval('session_number') \(Self.records("$1")) "
                        + "WHERE r.is_up AND r.session <> '' ON CONFLICT DO NOTHING",
                    [list]
                )
                try connection.run(
                    "INSERT INTO tunnel (service, subaccount, location_id, session, number, is_up, changed) "
                        + "SELECT $1, r.subaccount, r.location_id, r.session, coalesce("
                        + "(SELECT s.number FROM session s WHERE s.subaccount = r.subaccount "
                        + "AND s.location_id = r.location_id AND s.session = r.session), "
                        + "(SELECT max(t.number) FROM tunnel t WHERE t.subaccount = r.subaccount "
                        + "AND t.location_id = r.location_id AND t.session = r.session AND t.is_up), "
                        + "nextval('session_number')), r.is_up, nextval('directory_change') \(Self.records("$2")) "
                        + "WHERE EXISTS (SELECT 1 FROM service WHERE name = $1 AND run = $3) "
                        + "ON CONFLICT (service, subaccount, location_id) DO UPDATE SET session = excluded.session, "
                        + "number = excluded.number, is_up = excluded.is_up, changed = excluded.changed, since = now()",
                    [service.name, list, service.run]
                )
                try Self.tell(connection)
            }
        }
    }

    private static func records(_ list: String) -> String {
        "FROM jsonb_to_recordset(\(list)::jsonb) AS r(subaccount text, location_id text, session text, is_up boolean)"
    }

    private static func lock(_ connection: DatabaseConnection) throws(DatabaseError) {
        try connection.run("SELECT pg_advisory_xact_lock(7243392103)")
    }

    private static func tell(_ connection: DatabaseConnection) throws(DatabaseError) {
        try connection.run("SELECT pg_notify($1, $2)", [StoreSchema.channel, topic])
    }

    // MARK: What all have said

    /// Those that are there.
    package func services() throws(DatabaseError) -> [PeerDirectory.Service] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("SELECT name, run, address, version FROM service WHERE expires_at > now() ORDER BY name")
        }.compactMap { row in
            guard let name = row[0], let run = row[1], let (host, port) = row[2].flatMap({ HostPort.parse($0) }),
                let port
            else { return nil }
            let address = HostPort(host: host, port: port)
            return PeerDirectory.Service(name: name, run: run, address: address, version: row[3] ?? "")
        }
    }

    /// - Parameter number: of the last change that is known; 0 for all that is there.
    /// - Returns: rows in the order of their changes, and the number of the last one.
    package func changes(after number: Int) throws(DatabaseError) -> (rows: [Row], last: Int) {
        let isAll = number == 0
        let found = try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "SELECT service, subaccount, location_id, session, number, is_up, changed FROM tunnel "
                    + "WHERE changed > $1::bigint\(isAll ? " AND is_up" : "") ORDER BY changed",
                ["\(number)"]
            )
        }
        var last = number
        let rows: [Row] = found.compactMap { row in
            guard let service = row[0], let subaccount = row[1], let location = row[2], let session = row[3],
                let number = row[4].flatMap({ Int($0) }), let changed = row[6].flatMap({ Int($0) })
            else { return nil }
            last = max(last, changed)
            return Row(
                service: service,
                identity: ConnectorIdentity(subaccount: subaccount, locationID: location),
                entry: row[5] == "t" ? PeerDirectory.Entry(session: session, number: number) : nil
            )
        }
        return (rows, last)
    }
}
