internal import AdminProtocol
internal import ConfigurationEditing
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `systemMappings` of a subaccount and their `resources`.
struct MappingsEndpoint {
    let subaccount: APISubaccount
    let call: APICall

    private var path: String { SubaccountDocument.path(subaccount, call.base) + "/systemMappings" }

    /// - Parameter rest: of the path, behind `systemMappings`: nothing, a mapping, its `resources`, one of them.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        let store = try ConfigurationStore(subaccount.status.file, main: subaccount.main)
        switch rest.count {
        case 0:
            try call.allow("GET", "POST", "DELETE")
            return try await all(store)
        case 1:
            try call.allow("GET", "PUT", "DELETE")
            return try await one(rest[0], store)
        case 2:
            try call.allow("GET", "POST", "DELETE")
            return try await resources(rest[0], store)
        default:
            try call.allow("GET", "PUT", "DELETE")
            return try await resource(rest[0], rest[2], store)
        }
    }

    // MARK: Mappings

    private func all(_ store: ConfigurationStore) async throws -> HTTPResponse {
        switch call.method {
        case "GET": return .json((try store.value["systems"]?.items ?? []).map(document))
        case "POST":
            var body = try APIBody(call.request)
            let keys = try MappingDocument.changes(&body)
            let entries = keys.compactMap { change in change.value.map { YAMLValue.Entry(change.key, $0) } }
            let created = YAMLValue.Entry("created", .text(WallClock.timestamp()))
            try await change(store, .addSystem(entries + [created]))
            let host = entries[0].value.scalar ?? ""
            return .created(at: "\(path)/\(Self.segment(host))")
        default:
            try await call.change(store, "remove all systems") { text in
                let hosts = (text.value["systems"]?.items ?? []).compactMap { $0["virtual-host"]?.scalar }
                for host in hosts { try AdministrationCommand.removeSystem(host).apply(to: &text) }
            }
            return .empty
        }
    }

    private func one(_ host: String, _ store: ConfigurationStore) async throws
        -> HTTPResponse
    {
        let system = try mapping(host, store)
        switch call.method {
        case "GET": return .json(document(system))
        case "PUT":
            var body = try APIBody(call.request)
            try await change(store, .changeSystem(host, try MappingDocument.changes(&body)))
        default: try await change(store, .removeSystem(host))
        }
        return .empty
    }

    private func mapping(_ host: String, _ store: ConfigurationStore) throws -> YAMLValue {
        let found = try store.value["systems"]?.items.first {
            $0["virtual-host"]?.scalar?.lowercased() == host.lowercased()
        }
        guard let found else {
            throw APIFailure.notFound("System mapping with value '\(LogText.escaped(host.utf8))' does not exist")
        }
        return found
    }

    private func document(_ system: YAMLValue) -> MappingDocument {
        var document = MappingDocument(system)
        let own = "\(path)/\(Self.segment(system["virtual-host"]?.scalar ?? ""))"
        document._links = ["self": APILink(href: own), "resources": APILink(href: "\(own)/resources")]
        return document
    }

    // MARK: Resources

    private func resources(_ host: String, _ store: ConfigurationStore)
        async throws -> HTTPResponse
    {
        let system = try mapping(host, store)
        switch call.method {
        case "GET": return .json((system["resources"]?.items ?? []).map { ResourceDocument($0) })
        case "POST":
            var body = try APIBody(call.request)
            let id = try body.required("id")
            let keys = try ResourceDocument.changes(&body).compactMap { change in
                change.value.map { YAMLValue.Entry(change.key, $0) }
            }
            guard !Self.has(id, system) else {
                throw APIFailure.conflict("Resource '\(LogText.escaped(id.utf8))' exists already")
            }
            let entries = [YAMLValue.Entry("path", .text(id))] + keys + [.init("created", .text(WallClock.timestamp()))]
            try await change(store, .addResource(system: host, entries))
            return .created(at: "\(path)/\(Self.segment(host))/resources/\(ResourceDocument.segment(id))")
        default:
            try await change(store, .changeSystem(host, [.init("resources", nil)]))
            return .empty
        }
    }

    private func resource(
        _ host: String,
        _ name: String,
        _ store: ConfigurationStore
    ) async throws -> HTTPResponse {
        let system = try mapping(host, store)
        guard let id = ResourceDocument.decode(name), Self.has(id, system) else {
            throw APIFailure.notFound("Resource with value '\(LogText.escaped(name.utf8))' does not exist")
        }
        switch call.method {
        case "GET":
            let found = system["resources"]?.items.first { $0["path"]?.scalar == id } ?? .nothing
            var document = ResourceDocument(found)
            document._links = [
                "self": APILink(href: "\(path)/\(Self.segment(host))/resources/\(ResourceDocument.segment(id))")
            ]
            return .json(document)
        case "PUT":
            var body = try APIBody(call.request)
            try await change(store, .changeResource(system: host, .init(id), try ResourceDocument.changes(&body)))
        default: try await change(store, .removeResource(system: host, .init(id)))
        }
        return .empty
    }

    private static func has(_ id: String, _ system: YAMLValue) -> Bool {
        system["resources"]?.items.contains { $0["path"]?.scalar == id } ?? false
    }

    // MARK: Pieces

    private func change(_ store: ConfigurationStore, _ command: AdministrationCommand) async throws {
        try await call.change(store, command.summary, command.apply)
    }

    private static func segment(_ host: String) -> String { PercentText.encode(host).replacing("%3A", with: ":") }
}
