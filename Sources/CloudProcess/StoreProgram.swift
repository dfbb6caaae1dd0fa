internal import CloudServices
package import ConfigurationReading
internal import PostgreSQL

/// What `connectord store` does.
package enum StoreProgram {
    /// What there is in a store, and what this program needs.
    package struct Found: Sendable {
        package var address: String
        package var version: Int
        package var needed: Int
        /// Rights that the user of daily use lacks.
        package var missing: [String] = []
        /// The user who was given them.
        package var granted: String?
        package var isGood: Bool { version >= needed }
    }

    /// Looks at tables, rights, and whether the key is the one with which secrets were encrypted.
    ///
    /// - Throws: `StoreError`, `ConfigurationError`.
    package static func check(_ file: String, warn: ([Finding]) -> Void) throws -> Found {
        let store = try store(file, warn)
        let database = Database(store.address)
        var found = Found(
            address: store.address.shown,
            version: try StoreSchema.found(database),
            needed: StoreSchema.version
        )
        guard found.isGood else { return found }
        found.missing = try StoreSchema.missingRights(database)
        if found.missing.isEmpty { try StoreVault(database, password: store.key).check() }
        return found
    }

    /// Makes the tables that are missing.
    ///
    /// - Parameter owner: the URL of the user who may, and a file with the password; nil for the user of daily use. Else that user is
    ///   given the rights that daily use needs.
    /// - Returns: what there was before.
    package static func migrate(
        _ file: String,
        owner: (url: String, passwordFile: String?)?,
        warn: ([Finding]) -> Void
    ) throws -> Found {
        let store = try store(file, warn)
        var address = store.address
        if let owner {
            let password = try owner.passwordFile.map { try ConfigurationFile.secret($0) }
            address = DatabaseAddress(url: owner.url, password: password)
        }
        let database = Database(address)
        let before: Int
        do throws(DatabaseError) { before = try StoreSchema.migrate(database) } catch {
            guard owner == nil, error.description.contains("permission denied") else { throw error }
            throw StoreError(
                description:
                    "\(error): the user of store.url may make no tables; --url names one who may, and gives it its rights"
            )
        }
        var found = Found(address: address.shown, version: before, needed: StoreSchema.version)
        if owner != nil, let user = store.address.user, user != address.user {
            try StoreSchema.grant(database, to: user)
            found.granted = user
        }
        return found
    }

    private static func store(_ file: String, _ warn: ([Finding]) -> Void) throws -> StoreConfiguration {
        let (configuration, warnings) = try CloudConfigurationReader.load(file)
        warn(warnings)
        guard let store = configuration.store else { throw StoreError(description: "\(file) names no store") }
        return store
    }
}

/// There is no store to look at.
package struct StoreError: Error, CustomStringConvertible {
    package var description: String
}
