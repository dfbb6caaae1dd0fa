/// Where a destination may stand, seen from the token that asks: its own tenant, or the one that provides the application.
package enum Level: String, Sendable, CaseIterable {
    case subaccount, instance
    case providerSubaccount = "provider_subaccount"
    case providerInstance = "provider_instance"
}

/// `NAME` or `NAME@LEVEL`.
package struct LevelledName: Sendable, Equatable {
    package var name: String
    package var level: Level?

    package init(name: String, level: Level?) {
        self.name = name
        self.level = level
    }

    package init(_ text: String) throws(DestinationError) {
        guard let at = text.lastIndex(of: "@") else {
            (name, level) = (text, nil)
            return
        }
        let word = String(text[text.index(after: at)...])
        guard let level = Level(rawValue: word) else {
            let known = Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw DestinationError("Unknown level \"\(word)\"; known are \(known)")
        }
        (name, self.level) = (String(text[..<at]), level)
    }
}

/// Finds a destination and puts fragments and certificates to it.
package struct DestinationLookup: Sendable {
    /// Fragments that one request may merge.
    package static let maxFragments = 10

    /// How a destination is looked for: where, in what order, with which fragment.
    package struct Query: Sendable {
        package var destination: LevelledName
        package var fragments: [LevelledName] = []
        package var areFragmentsOptional = false

        package init(_ destination: LevelledName) { self.destination = destination }
    }

    /// A configuration, and whose it is.
    package struct Owned: Sendable, Equatable {
        package var name: String
        package var scope: Scope
    }

    /// A destination, merged with its fragment where one was named.
    package struct Found: Sendable {
        package var properties: [String: String]
        package var destination: Owned
        package var fragments: [Owned] = []
        package var certificates: [(configuration: NamedConfiguration, owner: Owned)] = []
    }

    /// Why there is none.
    package enum LookupError: Error, Sendable, Equatable {
        case noDestination
        case noFragment(String)
    }

    let store: any DestinationStore
    /// Of the token's tenant and of the application's provider.
    let tenant: String
    let provider: String
    let instance: String

    /// - Parameters:
    ///   - tenant: subdomain of the token's tenant.
    ///   - provider: subdomain of the tenant to which the application's service instance belongs.
    ///   - instance: ID of that service instance.
    package init(_ store: any DestinationStore, tenant: String, provider: String, instance: String) {
        self.store = store
        self.tenant = tenant
        self.provider = provider
        self.instance = instance
    }

    /// Whose configurations a level means.
    package func scope(_ level: Level) -> Scope {
        switch level {
        case .subaccount: Scope(tenant: tenant)
        case .instance: Scope(tenant: tenant, instance: instance)
        case .providerSubaccount: Scope(tenant: provider)
        case .providerInstance: Scope(tenant: provider, instance: instance)
        }
    }

    /// - Throws: `LookupError`.
    package func find(_ query: Query) throws(LookupError) -> Found {
        let levels = query.destination.level.map { [$0] } ?? [.instance, .subaccount]
        guard let (entry, scope) = entry(.destinations, levels.map(scope), query.destination.name) else {
            throw .noDestination
        }
        var found = Found(
            properties: entry.configuration.properties,
            destination: Owned(name: query.destination.name, scope: scope)
        )
        for name in query.fragments {
            let scopes = name.level.map { [self.scope($0)] } ?? [scope]
            guard let (fragment, owner) = self.entry(.fragments, scopes, name.name) else {
                if query.areFragmentsOptional { continue }
                throw .noFragment(name.name)
            }
            merge(fragment.configuration, &found, Owned(name: name.name, scope: owner))
        }
        found.certificates = certificates(found.properties, scope)
        return found
    }

    /// A fragment's values win, but it never renames the destination.
    private func merge(_ fragment: NamedConfiguration, _ found: inout Found, _ owner: Owned) {
        for (key, value) in fragment.properties where key != "FragmentName" { found.properties[key] = value }
        found.fragments.append(owner)
        found.properties["FragmentName"] = found.fragments.map(\.name).joined(separator: ",")
    }

    private func entry(
        _ kind: ConfigurationKind,
        _ scopes: [Scope],
        _ name: String
    ) -> (StoredConfiguration, Scope)? {
        for scope in scopes {
            if let entry = store.entry(kind, scope, name) { return (entry, scope) }
        }
        return nil
    }

    /// Those that the destination names, from its own level, else from that of the subaccount.
    private func certificates(
        _ properties: [String: String],
        _ scope: Scope
    ) -> [(configuration: NamedConfiguration, owner: Owned)] {
        let keys = ["KeyStoreLocation", "TrustStoreLocation", "tokenService.KeyStoreLocation"]
        var names: [String] = []
        for name in keys.compactMap({ properties[$0] }) where !name.isEmpty && !names.contains(name) {
            names.append(name)
        }
        return names.compactMap { name in
            guard let (entry, owner) = entry(.certificates, [scope, Scope(tenant: scope.tenant)], name) else {
                return nil
            }
            return (entry.configuration, Owned(name: name, scope: owner))
        }
    }
}
