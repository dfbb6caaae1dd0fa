internal import ConnectivityService
internal import ControlProtocol
internal import Destinations
internal import NIOHTTP1
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// Destinations as the person sees them who runs the cloud side: for `connectord destination` and the cockpit.
struct DestinationAdmin: Sendable {
    let api: DestinationAPI
    let service: ConnectivityService

    /// One line of the list.
    struct Summary: Codable, Sendable {
        var name: String
        var type: String
        var url: String
        var proxyType: String
        var authentication: String
        var locationID: String
        var description: String
    }

    struct List: Codable, Sendable {
        var destinations: [Summary]
        /// Files that do not count, and why.
        var findings: [String]
    }

    struct Wish: Codable, Sendable {
        /// A subaccount's ID; nil for the service's own.
        var subaccount: String?
        var name = ""
        /// For import.
        var properties: [String: String]?
        var kind: String?
        var replaces: Bool?
        /// For a destination from the template: the exposed system.
        var host: String?
        var locationID: String?
        var isForActions: Bool?
    }

    struct Properties: Codable, Sendable { var properties: [String: String] }

    /// - Returns: nil for a path that is not of destinations.
    func answer(_ request: HTTPRequest) async -> HTTPResponse? {
        guard request.method == "POST", request.path.hasPrefix("/destinations/") else { return nil }
        guard let wish = try? JSONLines.decode(Wish.self, request.body) else {
            return .error(.badRequest, "the request's body is not what it should be")
        }
        guard let tenant = tenant(wish.subaccount) else {
            return .error(.notFound, "there is no such subaccount here; see api.tenants")
        }
        let scope = Scope(tenant: tenant.subdomain)
        do {
            switch request.path.dropFirst("/destinations/".count) {
            case "list": return .json(list(scope))
            case "show": return show(wish, scope)
            case "import": return try add(wish, scope)
            case "delete": return try delete(wish, scope)
            case "check": return await check(wish, tenant, scope)
            case "template": return try template(wish, tenant, scope)
            default: return nil
            }
        } catch {
            return .error(.badRequest, "\(error)")
        }
    }

    func tenant(_ subaccount: String?) -> Tenant? {
        guard let subaccount else { return api.tokens.tenants[0] }
        return api.tokens.tenants.first { $0.subaccount == subaccount }
    }

    func list(_ scope: Scope) -> List {
        let summaries = api.store.all(.destinations, scope).map { entry in
            let destination = entry.configuration
            return Summary(
                name: destination.name,
                type: destination["Type"] ?? "",
                url: destination["URL"] ?? destination["Address"] ?? "",
                proxyType: destination["ProxyType"] ?? "Internet",
                authentication: destination["Authentication"] ?? "NoAuthentication",
                locationID: destination["CloudConnectorLocationId"] ?? "",
                description: destination["Description"] ?? ""
            )
        }
        return List(destinations: summaries, findings: api.store.findings([scope]).map(\.description))
    }

    func missing(_ name: String, _ scope: Scope) -> HTTPResponse {
        let known = api.store.all(.destinations, scope).map(\.configuration.name)
        let nearest = NearestName.find(name, among: known).map { "; did you mean \($0)?" } ?? ""
        return .error(.notFound, "there is no destination \(LogText.escaped(name.utf8))\(nearest)")
    }

    private func show(_ wish: Wish, _ scope: Scope) -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, wish.name) else { return missing(wish.name, scope) }
        return .json(Properties(properties: entry.configuration.properties))
    }

    private func add(_ wish: Wish, _ scope: Scope) throws -> HTTPResponse {
        let kind = wish.kind.flatMap(ConfigurationKind.init) ?? .destinations
        let configuration = try NamedConfiguration(kind, wish.properties ?? [:])
        return try store(configuration, scope, replaces: wish.replaces ?? false)
    }

    func store(
        _ configuration: NamedConfiguration,
        _ scope: Scope,
        replaces: Bool
    ) throws -> HTTPResponse {
        if case .done = try api.store.create(configuration, scope) {
            record("created", configuration.name, scope)
            return .json(Properties(properties: ["Name": configuration.name, "result": "created"]))
        }
        guard replaces else {
            return .error(.conflict, "\(configuration.name) is there already; --replace would replace it")
        }
        _ = try api.store.update(configuration, scope)
        record("changed", configuration.name, scope)
        return .json(Properties(properties: ["Name": configuration.name, "result": "replaced"]))
    }

    func record(_ what: String, _ name: String, _ scope: Scope) {
        api.audit.record(.destinationChanged, "Destination \(name) \(what) in \(scope.tenant) by the administrator")
    }

    private func delete(_ wish: Wish, _ scope: Scope) throws -> HTTPResponse {
        guard try api.store.remove(.destinations, scope, wish.name) else { return missing(wish.name, scope) }
        record("deleted", wish.name, scope)
        return .json(AdminMessage.Empty())
    }

    private func check(_ wish: Wish, _ tenant: Tenant, _ scope: Scope) async -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, wish.name) else { return missing(wish.name, scope) }
        return .json(await api.checker.check(entry.configuration.properties, tenant))
    }

    /// A destination for one exposed system, ready for use.
    private func template(_ wish: Wish, _ tenant: Tenant, _ scope: Scope) throws -> HTTPResponse {
        let location = wish.locationID ?? ""
        let connectors = service.registry.status().filter { $0.subaccount == tenant.subaccount }
        guard let connector = connectors.first(where: { $0.locationID == location }) else {
            return .error(.notFound, "no Cloud Connector with location ID \"\(location)\" has been here yet")
        }
        let wanted = (wish.host ?? "").lowercased()
        guard let system = connector.systems.first(where: { $0.host == wanted }) else {
            let known = connector.systems.map(\.host)
            let nearest = NearestName.find(wanted, among: known).map { "; did you mean \($0)?" } ?? ""
            return .error(.notFound, "\(LogText.escaped(wanted.utf8)) is not exposed\(nearest)")
        }
        guard ["HTTP", "HTTPS"].contains(system.protocol) else {
            return .error(.conflict, "\(system.host) is exposed with \(system.protocol); the template is for HTTP")
        }
        let name = wish.name.isEmpty ? Self.name(for: system.host) : wish.name
        var properties = [
            "Name": name, "Type": "HTTP", "URL": "http://\(system.host)", "ProxyType": "OnPremise",
            "Authentication": "NoAuthentication",
        ]
        if !system.description.isEmpty { properties["Description"] = system.description }
        if !location.isEmpty { properties["CloudConnectorLocationId"] = location }
        if wish.isForActions == true {
            properties["sap.processautomation.enabled"] = "true"
            properties["sap.applicationdevelopment.actions.enabled"] = "true"
        }
        let configuration = try NamedConfiguration(.destinations, properties)
        return try store(configuration, scope, replaces: wish.replaces ?? false)
    }

    private static func name(for host: String) -> String {
        String(host.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }
}
