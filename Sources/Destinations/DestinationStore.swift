internal import HostSystem
internal import Synchronization

/// Where a configuration belongs.
package struct Scope: Sendable, Equatable, Hashable {
    /// The subaccount's subdomain; the name of its folder.
    package var tenant: String
    /// A service instance, or nil for the level of the subaccount.
    package var instance: String?

    package init(tenant: String, instance: String? = nil) {
        self.tenant = tenant
        self.instance = instance
    }
}

/// A configuration as a store has it.
package struct StoredConfiguration: Sendable {
    package var configuration: NamedConfiguration
    package var labels: [Label]
    /// Seconds since 1970.
    package var modified: Int

    package init(configuration: NamedConfiguration, labels: [Label], modified: Int) {
        (self.configuration, self.labels, self.modified) = (configuration, labels, modified)
    }
}

/// What became of a change of a configuration.
package enum StoreOutcome: Sendable, Equatable { case done(etag: String), exists, missing }

/// All configurations of all tenants. What is read is at hand; what is written may have to wait for others.
package protocol DestinationStore: Sendable {
    /// In the order of their names.
    func all(_ kind: ConfigurationKind, _ scope: Scope) -> [StoredConfiguration]
    /// One configuration; nil where there is none of this name.
    func entry(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) -> StoredConfiguration?
    /// What is wrong with configurations now, for people.
    func findings(_ scopes: [Scope]) -> [String]
    /// Adds a configuration, unless its name is taken.
    func create(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome
    /// Replaces a configuration that is there.
    func update(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome
    /// - Returns: whether there was one.
    func remove(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) throws -> Bool
    /// - Returns: whether there is such a configuration.
    func changeLabels(
        _ kind: ConfigurationKind,
        _ scope: Scope,
        _ name: String,
        _ change: ([Label]) throws -> [Label]
    ) throws -> Bool
}

/// In files: `TENANT/destinations/…` and, of service instances, `TENANT/instances/ID/destinations/…` below one folder. Each answer is
/// as new as the files are.
package final class DestinationFiles: DestinationStore {
    private struct Key: Hashable {
        var kind: ConfigurationKind
        var scope: Scope
    }

    package let directory: String
    private let folders = Mutex<[Key: ConfigurationFolder]>([:])

    package init(directory: String) { self.directory = directory }

    private func with<Result>(
        _ kind: ConfigurationKind,
        _ scope: Scope,
        _ body: (inout ConfigurationFolder) throws -> Result
    ) rethrows -> Result {
        try folders.withLock { folders in
            let key = Key(kind: kind, scope: scope)
            let level = scope.instance.map { "/instances/\($0)" } ?? ""
            let path = "\(directory)/\(scope.tenant)\(level)/\(kind.rawValue)"
            var folder = folders[key] ?? ConfigurationFolder(path: path, kind: kind)
            folders[key] = nil
            defer { folders[key] = folder }
            folder.refresh()
            return try body(&folder)
        }
    }

    // MARK: Reading

    package func all(_ kind: ConfigurationKind, _ scope: Scope) -> [StoredConfiguration] {
        with(kind, scope) { $0.all.map(\.stored) }
    }

    package func entry(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) -> StoredConfiguration? {
        with(kind, scope) { $0[name]?.stored }
    }

    package func findings(_ scopes: [Scope]) -> [String] {
        scopes.flatMap { scope in
            ConfigurationKind.allCases.flatMap { with($0, scope) { $0.findings.map(\.description) } }
        }
    }

    /// Those that have files.
    package func scopes() -> [Scope] {
        Folder.names(directory).flatMap { tenant in
            [Scope(tenant: tenant)]
                + Folder.names("\(directory)/\(tenant)/instances").map { Scope(tenant: tenant, instance: $0) }
        }
    }

    // MARK: Writing

    package func create(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome {
        try with(configuration.kind, scope) { folder in
            guard folder[configuration.name] == nil else { return .exists }
            try folder.store(configuration)
            return .done(etag: configuration.entityTag)
        }
    }

    package func update(_ configuration: NamedConfiguration, _ scope: Scope) throws -> StoreOutcome {
        try with(configuration.kind, scope) { folder in
            guard folder[configuration.name] != nil else { return .missing }
            try folder.store(configuration)
            return .done(etag: configuration.entityTag)
        }
    }

    package func remove(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) throws -> Bool {
        try with(kind, scope) { try $0.remove(name) }
    }

    package func changeLabels(
        _ kind: ConfigurationKind,
        _ scope: Scope,
        _ name: String,
        _ change: ([Label]) throws -> [Label]
    ) throws -> Bool {
        try with(kind, scope) { folder in
            guard let entry = folder[name] else { return false }
            try folder.setLabels(try change(entry.labels), of: name)
            return true
        }
    }
}
