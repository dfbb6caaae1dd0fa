internal import ConnectivityService
package import Cryptography
internal import JSON
internal import PostgreSQL
internal import TextFormats

/// The store of any number of instances, in PostgreSQL. Times are the database's.
package struct EnrolmentDatabase: EnrolmentStore {
    private let vault: StoreVault
    var database: Database { vault.database }

    /// - Throws: where the database cannot be reached, or has another schema.
    package init(_ vault: StoreVault) throws {
        self.vault = vault
        try StoreSchema.check(vault.database)
    }

    // MARK: Authority

    private static let authorityName = "enrolment-authority"

    private struct Authority: Codable {
        var certificate: String
        var privateKey: String
    }

    package func authority(_ make: () throws -> CertificateIssuer.Identity) throws -> CertificateIssuer.Identity {
        if let known = try load() { return known }
        let made = try make()
        let text = JSONLines.encode(Authority(certificate: made.certificate, privateKey: made.privateKey))
        try vault.add(Self.authorityName, try vault.seal(text))
        // It may have been somebody else's.
        guard let known = try load() else { throw EnrolmentError("the store has lost the authority just now") }
        return known
    }

    func load() throws -> CertificateIssuer.Identity? {
        guard let sealed = try vault.secret(Self.authorityName) else { return nil }
        let bytes = try vault.open(sealed, "the authority's key")
        let authority = try JSONLines.decode(Authority.self, bytes)
        return CertificateIssuer.Identity(certificate: authority.certificate, privateKey: authority.privateKey)
    }

    // MARK: Tokens

    package func add(token hash: String, _ token: StoredToken, lifetime: Int) throws {
        try database.use { (connection) throws(DatabaseError) in
            try connection.run(
                "INSERT INTO enrolment (token_hash, subaccount, location_id, expires_at) "
                    + "VALUES ($1, $2, $3, now() + make_interval(secs => $4::int))",
                [hash, token.subaccount, token.locationID, "\(lifetime)"]
            )
        }
    }

    package func take(token hash: String) throws -> (token: StoredToken, isExpired: Bool)? {
        // Of two who delete one row, one finds it gone. Not repeated: it may have been done although nobody answered.
        let rows = try database.use { (connection) throws(DatabaseError) in
            try connection.run(
                "DELETE FROM enrolment WHERE token_hash = $1 "
                    + "RETURNING subaccount, location_id, extract(epoch FROM expires_at)::bigint, expires_at < now()",
                [hash]
            )
        }
        return rows.first.flatMap { row in Self.token(row).map { ($0, row[3] == "t") } }
    }

    package func tokens() throws -> [StoredToken] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "SELECT subaccount, location_id, extract(epoch FROM expires_at)::bigint FROM enrolment WHERE expires_at >= now()"
            )
        }.compactMap(Self.token)
    }

    package func removeExpiredTokens() throws {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            // A day later, so that whoever comes too late is told so.
            try connection.run("DELETE FROM enrolment WHERE expires_at < now() - interval '1 day'")
        }
    }

    static func token(_ row: [String?]) -> StoredToken? {
        guard let subaccount = row[0], let location = row[1], let expires = row[2].flatMap({ Int($0) }) else {
            return nil
        }
        return StoredToken(subaccount: subaccount, locationID: location, expires: expires)
    }

    // MARK: Certificates

    /// What is told of on `StoreSchema.channel`.
    package static let topic = "certificate"

    /// What concerns one connector happens one after the other.
    private static func lock(_ connection: DatabaseConnection, _ identity: String) throws(DatabaseError) {
        try connection.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 7243392102))", [identity])
    }

    package func add(_ certificate: EnrolmentAuthority.Issued, unlessRevoked serial: String?) throws -> Bool {
        let identity = ConnectorIdentity(subaccount: certificate.subaccount, locationID: certificate.locationID)
        return try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                try Self.lock(connection, identity.uri)
                return try !connection.run(
                    "INSERT INTO certificate (serial, subaccount, location_id, instance, issued_at, not_after) "
                        + "SELECT $1, $2, $3, $4, now(), to_timestamp($5::bigint) WHERE NOT EXISTS "
                        + "(SELECT 1 FROM certificate WHERE serial = $6 AND revoked_at IS NOT NULL) RETURNING serial",
                    [
                        certificate.serial, certificate.subaccount, certificate.locationID, certificate.instance,
                        "\(certificate.expires)", serial,
                    ]
                ).isEmpty
            }
        }
    }

    package func issued() throws -> [EnrolmentAuthority.Issued] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "SELECT serial, subaccount, location_id, instance, extract(epoch FROM issued_at)::bigint, "
                    + "extract(epoch FROM not_after)::bigint, revoked_at IS NOT NULL FROM certificate"
            )
        }.compactMap { row in
            guard let serial = row[0], let subaccount = row[1], let location = row[2],
                let issuedAt = row[4].flatMap({ Int($0) }), let expires = row[5].flatMap({ Int($0) })
            else { return nil }
            return EnrolmentAuthority.Issued(
                serial: serial,
                subaccount: subaccount,
                locationID: location,
                issuedAt: issuedAt,
                expires: expires,
                isRevoked: row[6] == "t",
                instance: row[3]
            )
        }
    }

    package func removeExpiredCertificates() throws {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run("DELETE FROM certificate WHERE not_after < now() - interval '1 day'")
        }
    }

    package func revoke(_ identity: ConnectorIdentity, instance: String?) throws -> Set<String> {
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                try Self.lock(connection, identity.uri)
                let rows = try connection.run(
                    "UPDATE certificate SET revoked_at = now() "
                        + "WHERE subaccount = $1 AND location_id = $2 AND ($3::text IS NULL OR instance = $3) "
                        + "AND revoked_at IS NULL RETURNING serial",
                    [identity.subaccount, identity.locationID, instance]
                )
                try connection.run("SELECT pg_notify($1, $2)", [StoreSchema.channel, Self.topic])
                return Set(rows.compactMap { $0[0] })
            }
        }
    }

    package func revoked() throws -> Set<String> {
        Set(
            try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
                try connection.run("SELECT serial FROM certificate WHERE revoked_at IS NOT NULL")
            }.compactMap { $0[0] }
        )
    }
}
