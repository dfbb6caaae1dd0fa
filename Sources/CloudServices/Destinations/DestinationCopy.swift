package import Destinations

/// Takes configurations from one store to another.
package enum DestinationCopy {
    /// What is there under the same name is replaced.
    ///
    /// - Parameter scopes: of `source`.
    /// - Returns: how many were copied.
    package static func copy(_ scopes: [Scope], from source: any DestinationStore, to target: any DestinationStore)
        throws -> Int
    {
        let findings = source.findings(scopes)
        guard findings.isEmpty else { throw DestinationError("not copied, because of \(findings[0])") }
        var count = 0
        for scope in scopes {
            for kind in ConfigurationKind.allCases {
                for stored in source.all(kind, scope) {
                    if try target.create(stored.configuration, scope) == .exists {
                        _ = try target.update(stored.configuration, scope)
                    }
                    _ = try target.changeLabels(kind, scope, stored.configuration.name) { _ in stored.labels }
                    count += 1
                }
            }
        }
        return count
    }
}
