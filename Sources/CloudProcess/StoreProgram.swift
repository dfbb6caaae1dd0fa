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
        package var isGood: Bool { version >= needed }
    }

    /// - Throws: `StoreError`, `ConfigurationError`.
    package static func check(_ file: String, warn: ([Finding]) -> Void) throws -> Found {
        try found(file, warn) { (database) throws(DatabaseError) in try StoreSchema.found(database) }
    }

    /// Makes the tables that are missing.
    ///
    /// - Returns: what there was before.
    package static func migrate(_ file: String, warn: ([Finding]) -> Void) throws -> Found {
        try found(file, warn) { (database) throws(DatabaseError) in try StoreSchema.migrate(database) }
    }

    private static func found(
        _ file: String,
        _ warn: ([Finding]) -> Void,
        _ version: (Database) throws(DatabaseError) -> Int
    ) throws -> Found {
        let database = try database(file, warn)
        return Found(address: database.address.shown, version: try version(database), needed: StoreSchema.version)
    }

    private static func database(_ file: String, _ warn: ([Finding]) -> Void) throws -> Database {
        let (configuration, warnings) = try CloudConfigurationReader.load(file)
        warn(warnings)
        guard let store = configuration.store else { throw StoreError(description: "\(file) names no store") }
        return Database(store.address)
    }
}

/// There is no store to look at.
package struct StoreError: Error, CustomStringConvertible {
    package var description: String
}
