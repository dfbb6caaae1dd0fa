package import ConfigurationEditing
internal import TextFormats

/// What an administrator can have changed, whether on the command line, through the API or on the page.
package enum AdministrationCommand: Sendable, Equatable {
    /// A system mapping with these keys, `virtual-host` among them.
    case addSystem([YAMLValue.Entry])
    /// Keys of the system mapping with this virtual host; nil for those that are to go.
    case changeSystem(String, [Change])
    case removeSystem(String)
    /// A resource with these keys, `path` among them.
    case addResource(system: String, [YAMLValue.Entry])
    case changeResource(system: String, ResourceName, [Change])
    case removeResource(system: String, ResourceName)

    /// A key and what it is from now on; nil where it is to go.
    package struct Change: Sendable, Equatable {
        package var key: String
        package var value: YAMLValue?

        package init(_ key: String, _ value: YAMLValue?) {
            self.key = key
            self.value = value
        }
    }

    /// Which resource of a system is meant: its path, and where two have the same, its access.
    package struct ResourceName: Sendable, Equatable, CustomStringConvertible {
        package var path: String
        package var access: String?

        package init(_ path: String, access: String? = nil) {
            self.path = path
            self.access = access
        }

        package var description: String { access.map { "\(path) (\($0))" } ?? path }
    }

    /// What is changed, in a few words; a request's texts are escaped.
    package var summary: String {
        func text(_ words: String) -> String { LogText.escaped(words.utf8) }
        return switch self {
        case .addSystem(let entries): "add system \(text(YAMLValue.mapping(entries)["virtual-host"]?.scalar ?? ""))"
        case .changeSystem(let host, _): "change system \(text(host))"
        case .removeSystem(let host): "remove system \(text(host))"
        case .addResource(let host, let entries):
            "add resource \(text(YAMLValue.mapping(entries)["path"]?.scalar ?? "")) of \(text(host))"
        case .changeResource(let host, let name, _): "change resource \(text(name.path)) of \(text(host))"
        case .removeResource(let host, let name): "remove resource \(text(name.path)) of \(text(host))"
        }
    }

    /// Makes the change in a file's text.
    ///
    /// - Throws: `AdministrationError`, or `YAMLEditError`.
    package func apply(to text: inout YAMLText) throws {
        switch self {
        case .addSystem(let entries):
            let host = YAMLValue.mapping(entries)["virtual-host"]?.scalar ?? ""
            if Self.index(of: host, in: text) != nil { throw AdministrationError.exists("a system \(host)") }
            try text.apply(.append([.key("systems")], .mapping(entries)))
        case .changeSystem(let host, let changes):
            try Self.change(changes, at: try Self.place(host, text), &text)
        case .removeSystem(let host):
            try text.apply(.remove(try Self.place(host, text)))
        case .addResource(let host, let entries):
            try text.apply(.append(try Self.place(host, text) + [.key("resources")], .mapping(entries)))
        case .changeResource(let host, let name, let changes):
            try Self.change(changes, at: try Self.place(name, of: host, text), &text)
        case .removeResource(let host, let name):
            try text.apply(.remove(try Self.place(name, of: host, text)))
        }
    }

    private static func change(_ changes: [Change], at place: [YAMLStep], _ text: inout YAMLText) throws {
        for change in changes {
            let path = place + [.key(change.key)]
            if let value = change.value {
                try text.apply(.set(path, value))
            } else if text.value[path] != nil {
                try text.apply(.remove(path))
            }
        }
    }

    /// The resources of the system with a virtual host.
    package static func resources(of host: String, in text: YAMLText) throws(AdministrationError) -> [YAMLValue] {
        text.value[try place(host, text)]?["resources"]?.items ?? []
    }

    // MARK: Places

    private static func index(of host: String, in text: YAMLText) -> Int? {
        let wanted = host.lowercased()
        return text.value["systems"]?.items.firstIndex { $0["virtual-host"]?.scalar?.lowercased() == wanted }
    }

    private static func place(_ host: String, _ text: YAMLText) throws(AdministrationError) -> [YAMLStep] {
        if let index = index(of: host, in: text) { return [.key("systems"), .item(index)] }
        let hosts = (text.value["systems"]?.items ?? []).compactMap { $0["virtual-host"]?.scalar }
        throw .missing("a system \(host)", known: hosts, nearest: NearestName.find(host, among: hosts))
    }

    private static func place(
        _ name: ResourceName,
        of host: String,
        _ text: YAMLText
    ) throws(AdministrationError) -> [YAMLStep] {
        let system = try place(host, text)
        let resources = text.value[system]?["resources"]?.items ?? []
        let found = resources.indices.filter { index in
            let isMeant =
                name.access.map { resources[index]["access"]?.scalar?.lowercased() == $0.lowercased() } ?? true
            return isMeant && resources[index]["path"]?.scalar == name.path
        }
        guard found.count < 2 else { throw .ambiguous("\(name.path) of \(host)") }
        guard let index = found.first else {
            if let other = resources.first(where: { $0["path"]?.scalar == name.path }), let wanted = name.access {
                throw .otherAccess(name.path, is: other["access"]?.scalar ?? "", not: wanted)
            }
            let paths = resources.compactMap { $0["path"]?.scalar }
            throw .missing(
                "a resource \(name) of \(host)",
                known: paths,
                nearest: NearestName.find(name.path, among: paths)
            )
        }
        return system + [.key("resources"), .item(index)]
    }
}

/// What keeps a change from being made, before anybody looks at the configuration it would give.
package enum AdministrationError: Error, Equatable, CustomStringConvertible {
    case missing(String, known: [String], nearest: String?)
    case exists(String)
    case ambiguous(String)
    case otherAccess(String, is: String, not: String)

    package var description: String {
        switch self {
        case .missing(let what, let known, let nearest): "there is not \(what)" + Self.others(known, nearest)
        case .exists(let what): "there is already \(what)"
        case .ambiguous(let what): "there are two resources \(what): say which by its access"
        case .otherAccess(let path, let access, let wanted): "\(path) has access \(access), not \(wanted)"
        }
    }

    private static func others(_ known: [String], _ nearest: String?) -> String {
        if let nearest { return "; did you mean \(nearest)?" }
        guard !known.isEmpty else { return ", nor any other" }
        let rest = known.count > 20 ? " and \(known.count - 20) more" : ""
        return "; there are \(known.prefix(20).joined(separator: ", "))\(rest)"
    }
}
