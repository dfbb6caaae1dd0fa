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

/// All configurations of all tenants: `TENANT/destinations/…` and, of service instances, `TENANT/instances/ID/destinations/…`
/// below one folder. Each answer is as new as the files are.
package final class DestinationStore: Sendable {
    package typealias Entry = ConfigurationFolder.Entry

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

    /// In the order of their names.
    package func all(_ kind: ConfigurationKind, _ scope: Scope) -> [Entry] { with(kind, scope) { $0.all } }

    /// One configuration; nil where there is none of this name.
    package func entry(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) -> Entry? {
        with(kind, scope) { $0[name] }
    }

    /// What is wrong with files now.
    package func findings(_ scopes: [Scope]) -> [ConfigurationFolder.Finding] {
        scopes.flatMap { scope in ConfigurationKind.allCases.flatMap { with($0, scope) { $0.findings } } }
    }

    // MARK: Writing

    /// What became of a change.
    package enum Outcome: Sendable, Equatable { case done(etag: String), exists, missing }

    /// Adds a configuration, unless its name is taken.
    package func create(_ configuration: NamedConfiguration, _ scope: Scope) throws -> Outcome {
        try with(configuration.kind, scope) { folder in
            guard folder[configuration.name] == nil else { return .exists }
            try folder.store(configuration)
            return .done(etag: configuration.entityTag)
        }
    }

    /// Replaces a configuration that is there.
    package func update(_ configuration: NamedConfiguration, _ scope: Scope) throws -> Outcome {
        try with(configuration.kind, scope) { folder in
            guard folder[configuration.name] != nil else { return .missing }
            try folder.store(configuration)
            return .done(etag: configuration.entityTag)
        }
    }

    /// - Returns: whether there was one.
    package func remove(_ kind: ConfigurationKind, _ scope: Scope, _ name: String) throws -> Bool {
        try with(kind, scope) { try $0.remove(name) }
    }

    /// - Returns: whether there is such a configuration.
    package func changeLabels(
        _ kind: ConfigurationKind,
        _ scope: Scope,
        _ name: String,
        _ change: ([Label]) -> [Label]
    ) throws -> Bool {
        try with(kind, scope) { folder in
            guard let entry = folder[name] else { return false }
            try folder.setLabels(change(entry.labels), of: name)
            return true
        }
    }
}
