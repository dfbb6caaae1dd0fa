internal import AdminProtocol
package import ConnectivityService
internal import ControlProtocol
internal import Destinations
internal import JSON
internal import NIOHTTP1
package import Networking
internal import Telemetry
internal import TextFormats
internal import Tokens

/// Destinations as the person sees them who runs the cloud side: for `connectord destination` and the cockpit.
package struct DestinationAdmin: Sendable {
    package let api: DestinationAPI
    package let service: ConnectivityService

    package init(api: DestinationAPI, service: ConnectivityService) {
        self.api = api
        self.service = service
    }

    /// - Returns: nil for a path that is not of destinations.
    package func answer(_ http: HTTPRequest) async -> HTTPResponse? {
        guard http.method == "POST", http.path.hasPrefix("/destinations/") else { return nil }
        guard let request = try? JSONLines.decode(DestinationMessage.Request.self, http.body) else {
            return .error(.badRequest, "the request's body is not what it should be")
        }
        guard let tenant = tenant(request.subaccount) else {
            return .error(.notFound, "there is no such subaccount here; see api.tenants")
        }
        let scope = Scope(tenant: tenant.subdomain)
        do {
            switch http.path.dropFirst("/destinations/".count) {
            case "list": return .json(list(scope))
            case "show": return show(request, scope)
            case "import": return try await AuthorityThreads.run { try add(request, scope) }
            case "delete": return try await AuthorityThreads.run { try delete(request, scope) }
            case "check": return await check(request, tenant, scope)
            case "template": return try await AuthorityThreads.run { try template(request, tenant, scope) }
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

    func list(_ scope: Scope) -> DestinationMessage.List {
        let summaries = api.store.all(.destinations, scope).map { entry in
            let destination = entry.configuration
            return DestinationMessage.Summary(
                name: destination.name,
                type: destination["Type"] ?? "",
                url: destination["URL"] ?? destination["Address"] ?? "",
                proxyType: destination["ProxyType"] ?? "Internet",
                authentication: destination["Authentication"] ?? "NoAuthentication",
                locationID: destination["CloudConnectorLocationId"] ?? "",
                description: destination["Description"] ?? ""
            )
        }
        return DestinationMessage.List(
            destinations: summaries,
            findings: api.store.findings([scope])
        )
    }

    func missing(_ name: String, _ scope: Scope) -> HTTPResponse {
        let known = api.store.all(.destinations, scope).map(\.configuration.name)
        let nearest = NearestName.find(name, among: known).map { "; did you mean \($0)?" } ?? ""
        return .error(.notFound, "there is no destination \(LogText.escaped(name.utf8))\(nearest)")
    }

    private func show(_ request: DestinationMessage.Request, _ scope: Scope) -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, request.name) else {
            return missing(request.name, scope)
        }
        return .json(DestinationMessage.Properties(properties: entry.configuration.properties))
    }

    private func add(_ request: DestinationMessage.Request, _ scope: Scope) throws -> HTTPResponse {
        let kind = request.kind.flatMap(ConfigurationKind.init) ?? .destinations
        let configuration = try NamedConfiguration(kind, request.properties ?? [:])
        return try store(configuration, scope, replaces: request.replaces ?? false)
    }

    func store(
        _ configuration: NamedConfiguration,
        _ scope: Scope,
        replaces: Bool
    ) throws -> HTTPResponse {
        if case .done = try api.store.create(configuration, scope) {
            record("created", configuration.name, scope)
            return .json(DestinationMessage.Properties(properties: ["Name": configuration.name, "result": "created"]))
        }
        guard replaces else {
            return .error(.conflict, "\(configuration.name) is there already; --replace would replace it")
        }
        _ = try api.store.update(configuration, scope)
        record("changed", configuration.name, scope)
        return .json(DestinationMessage.Properties(properties: ["Name": configuration.name, "result": "replaced"]))
    }

    func record(_ what: String, _ name: String, _ scope: Scope) {
        api.audit.record(.destinationChanged, "Destination \(name) \(what) in \(scope.tenant) by the administrator")
    }

    private func delete(_ request: DestinationMessage.Request, _ scope: Scope) throws -> HTTPResponse {
        guard try api.store.remove(.destinations, scope, request.name) else { return missing(request.name, scope) }
        record("deleted", request.name, scope)
        return .json(AdminMessage.Empty())
    }

    private func check(_ request: DestinationMessage.Request, _ tenant: Tenant, _ scope: Scope) async -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, request.name) else {
            return missing(request.name, scope)
        }
        return .json(await api.checker.check(entry.configuration.properties, tenant))
    }

    /// A destination for one exposed system, ready for use.
    private func template(_ request: DestinationMessage.Request, _ tenant: Tenant, _ scope: Scope) throws
        -> HTTPResponse
    {
        let location = request.locationID ?? ""
        let connectors = service.registry.status(systems: .max).filter { $0.subaccount == tenant.subaccount }
        guard let connector = connectors.first(where: { $0.locationID == location }) else {
            return .error(.notFound, "no Cloud Connector with location ID \"\(location)\" has been here yet")
        }
        let wanted = (request.host ?? "").lowercased()
        guard let system = connector.systems.first(where: { $0.host == wanted }) else {
            let known = connector.systems.map(\.host)
            let nearest = NearestName.find(wanted, among: known).map { "; did you mean \($0)?" } ?? ""
            return .error(.notFound, "\(LogText.escaped(wanted.utf8)) is not exposed\(nearest)")
        }
        guard ["HTTP", "HTTPS"].contains(system.protocol) else {
            return .error(.conflict, "\(system.host) is exposed with \(system.protocol); the template is for HTTP")
        }
        let name = request.name.isEmpty ? Self.name(for: system.host) : request.name
        var properties = [
            "Name": name, "Type": "HTTP", "URL": "http://\(system.host)", "ProxyType": "OnPremise",
            "Authentication": "NoAuthentication",
        ]
        if !system.description.isEmpty { properties["Description"] = system.description }
        if !location.isEmpty { properties["CloudConnectorLocationId"] = location }
        if request.isForActions == true {
            properties["sap.processautomation.enabled"] = "true"
            properties["sap.applicationdevelopment.actions.enabled"] = "true"
        }
        let configuration = try NamedConfiguration(.destinations, properties)
        return try store(configuration, scope, replaces: request.replaces ?? false)
    }

    private static func name(for host: String) -> String {
        String(host.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }
}
