internal import ConnectivityService
package import Cryptography
internal import HostSystem
internal import JSON
internal import PostgreSQL

/// All that a store of an enrolment authority has, on its way into another one.
package struct EnrolmentContents: Sendable {
    /// Nil where none was made yet.
    package var authority: CertificateIssuer.Identity?
    /// By the hash of their secrets.
    package var tokens: [String: StoredToken] = [:]
    /// With whether they are revoked.
    package var certificates: [EnrolmentAuthority.Issued] = []

    package init() {}
}

extension EnrolmentFolder {
    package func contents() throws -> EnrolmentContents {
        var contents = EnrolmentContents()
        if hasAuthority { contents.authority = try authority { throw EnrolmentError("there is no authority") } }
        for hash in tokenHashes { contents.tokens[hash] = storedToken(hash) }
        let revoked = revoked()
        contents.certificates = issued().map { certificate in
            var certificate = certificate
            certificate.isRevoked = revoked.contains(certificate.serial)
            return certificate
        }
        return contents
    }

    /// - Throws: where it has an authority already, unless it is the same.
    package func take(_ contents: EnrolmentContents) throws {
        guard let authority = contents.authority else { throw EnrolmentError("there is no authority to be copied") }
        guard try self.authority({ authority }).certificate == authority.certificate else {
            throw EnrolmentError("there is another authority already; copy into an empty folder")
        }
        for (hash, token) in contents.tokens { try add(token: hash, token, lifetime: 0) }
        for certificate in contents.certificates {
            _ = try add(certificate, unlessRevoked: nil)
            if certificate.isRevoked ?? false { try markRevoked(certificate.serial) }
        }
    }
}

extension EnrolmentDatabase {
    package func contents() throws -> EnrolmentContents {
        var contents = EnrolmentContents()
        contents.authority = try load()
        for row in try allTokens() { contents.tokens[row.hash] = row.token }
        contents.certificates = try issued()
        return contents
    }

    /// - Throws: where it has an authority already, unless it is the same.
    package func take(_ contents: EnrolmentContents) throws {
        guard let authority = contents.authority else { throw EnrolmentError("there is no authority to be copied") }
        guard try self.authority({ authority }).certificate == authority.certificate else {
            throw EnrolmentError("the store has another authority already; copy into an empty database")
        }
        try database.use { (connection) throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in
                for (hash, token) in contents.tokens {
                    try connection.run(
                        "INSERT INTO enrolment (token_hash, subaccount, location_id, expires_at) "
                            + "VALUES ($1, $2, $3, to_timestamp($4::bigint)) ON CONFLICT DO NOTHING",
                        [hash, token.subaccount, token.locationID, "\(token.expires)"]
                    )
                }
                for certificate in contents.certificates {
                    try connection.run(
                        "INSERT INTO certificate (serial, subaccount, location_id, instance, issued_at, not_after, revoked_at) "
                            + "VALUES ($1, $2, $3, $4, to_timestamp($5::bigint), to_timestamp($6::bigint), "
                            + "CASE WHEN $7 = 't' THEN now() END) ON CONFLICT (serial) DO UPDATE SET "
                            + "revoked_at = coalesce(certificate.revoked_at, excluded.revoked_at)",
                        [
                            certificate.serial, certificate.subaccount, certificate.locationID, certificate.instance,
                            "\(certificate.issuedAt)", "\(certificate.expires)",
                            certificate.isRevoked ?? false ? "t" : "f",
                        ]
                    )
                }
            }
        }
    }

    private func allTokens() throws -> [(hash: String, token: StoredToken)] {
        try database.use(isRepeatable: true) { (connection) throws(DatabaseError) in
            try connection.run(
                "SELECT subaccount, location_id, extract(epoch FROM expires_at)::bigint, token_hash FROM enrolment"
            )
        }.compactMap { row in
            guard let token = Self.token(row), let hash = row[3] else { return nil }
            return (hash, token)
        }
    }
}
