internal import AccessPolicy

/// Resources that would admit what was asked for: as few as possible, and each as narrow as possible.
///
/// A path that was asked for becomes one resource for itself. A prefix is proposed only where there is a reason: below the root of
/// an OData service, below the paths of a product that is known, and where keys vary in one place of a path.
package struct ResourceProposal: Codable, Sendable, Equatable {
    package var path: String
    /// As in the configuration.
    package var access: String
    package var reason: String
    /// Requests that it would admit.
    package var count: Int
    /// Paths among them.
    package var examples: [String]

    static let exampleLimit = 3
    /// Keys in one place of a path that are taken for all that there may be.
    static let keyLimit = 3
    /// Other names in one place that are taken for keys, too.
    static let nameLimit = 12

    /// - Parameters:
    ///   - asked: paths with their counts.
    ///   - resources: what the system has already.
    static func make(_ asked: [String: Int], beside resources: [Resource]) -> [ResourceProposal] {
        let system = SystemMapping(
            virtualHost: "x",
            virtualPort: 1,
            internalHost: "x",
            internalPort: 1,
            resources: resources
        )
        let policy = AccessPolicy(systems: [system])
        var rest = asked.filter { path, _ in
            guard Resource.pathError(path) == nil, let target = try? RequestTarget(path) else { return false }
            if case .allow = policy.evaluate(system: system, target: target) { return false }
            return true
        }
        var proposals: [ResourceProposal] = []
        func take(_ prefix: String, _ reason: String) {
            let found = rest.filter { $0.key.hasPrefix(prefix) }
            guard !found.isEmpty else { return }
            for path in found.keys { rest[path] = nil }
            proposals.append(
                ResourceProposal(
                    path: prefix,
                    access: Resource.Access.pathAndSubPaths.rawValue,
                    reason: reason,
                    count: found.values.reduce(0, +),
                    examples: Array(found.keys.sorted().prefix(exampleLimit))
                )
            )
        }
        for preset in ResourcePreset.allCases {
            for path in preset.paths { take(path, "of \(preset.rawValue)") }
        }
        for root in roots(of: rest.keys) { take(root, "an OData service") }
        for (parent, keys) in varying(rest.keys) { take(parent, "\(keys) keys vary here") }
        for (path, count) in rest.sorted(by: { $0.key < $1.key }) {
            proposals.append(
                ResourceProposal(
                    path: path,
                    access: Resource.Access.pathOnly.rawValue,
                    reason: "asked for as it stands",
                    count: count,
                    examples: []
                )
            )
        }
        return proposals.sorted { $0.path < $1.path }
    }

    // MARK: OData

    /// Service roots, each with its slash: what stands before `$metadata`, `$batch` or an entity with its key (OData, "URL
    /// Conventions", section 2).
    private static func roots(of paths: some Sequence<String>) -> [String] {
        var roots: Set<String> = []
        for path in paths {
            let segments = path.split(separator: "/")
            guard let index = segments.firstIndex(where: { isOData($0) }) else { continue }
            // A count stands below what it counts.
            let end = segments[index] == "$count" ? index - 1 : index
            if end > 0 { roots.insert("/" + segments[..<end].joined(separator: "/") + "/") }
        }
        // The widest first, so that none is proposed below another.
        return roots.sorted { $0.utf8.count < $1.utf8.count }
    }

    private static func isOData(_ segment: Substring) -> Bool {
        if ["$metadata", "$batch", "$count"].contains(segment) { return true }
        return segment.hasSuffix(")") && segment.contains("(") && segment.first?.isLetter == true
    }

    // MARK: Keys

    /// Parents below which names vary, each with its slash, the widest first.
    private static func varying(_ paths: some Sequence<String>) -> [(parent: String, keys: Int)] {
        var children: [String: Set<Substring>] = [:]
        for path in paths {
            let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            var parent = "/"
            for segment in segments {
                if !segment.isEmpty { children[parent, default: []].insert(segment) }
                parent += segment + "/"
            }
        }
        return children.filter { parent, names in
            // Below the host itself is everything, which nobody should be led to expose.
            parent != "/" && (names.count >= nameLimit || names.count >= keyLimit && names.allSatisfy { isKey($0) })
        }
        .map { ($0.key, $0.value.count) }.sorted { $0.0.utf8.count < $1.0.utf8.count }
    }

    /// Numbers, UUIDs and their kind.
    private static func isKey(_ name: Substring) -> Bool {
        let digits = name.utf8.count { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        if digits == name.utf8.count { return true }
        let isHex = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return isHex && name.utf8.count >= 8 || digits * 2 >= name.utf8.count
    }
}
