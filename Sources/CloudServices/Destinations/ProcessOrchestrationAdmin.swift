internal import AdminProtocol
internal import ConnectivityService
internal import Destinations
internal import JSON
internal import NIOHTTP1
package import Networking
internal import TextFormats
internal import Tokens

/// SAP Process Orchestration systems: made, listed and tested, for `connectord po-system` and the cockpit.
extension DestinationAdmin {
    /// - Returns: nil for a path that is not of these systems.
    package func answerProcessOrchestration(_ request: HTTPRequest) async -> HTTPResponse? {
        guard request.method == "POST", request.path.hasPrefix("/po-systems/") else { return nil }
        guard let wanted = try? JSONLines.decode(ProcessOrchestrationMessage.Request.self, request.body) else {
            return .error(.badRequest, "the request's body is not what it should be")
        }
        guard let tenant = tenant(wanted.subaccount) else {
            return .error(.notFound, "there is no such subaccount here; see api.tenants")
        }
        let scope = Scope(tenant: tenant.subdomain)
        switch request.path {
        case "/po-systems/list": return .json(processOrchestrationSystems(scope))
        case "/po-systems/add":
            return (try? await AuthorityThreads.run { add(wanted, scope) })
                ?? .error(.serviceUnavailable, "the service is stopping")
        case "/po-systems/test": return await test(wanted.name, tenant, scope)
        default: return nil
        }
    }

    func processOrchestrationSystems(_ scope: Scope) -> [ProcessOrchestrationMessage.Summary] {
        found(scope).map(Self.summary)
    }

    private func found(_ scope: Scope) -> [ProcessOrchestrationSystem.Found] {
        ProcessOrchestrationSystem.find(in: api.store.all(.destinations, scope).map(\.configuration))
    }

    private static func summary(_ found: ProcessOrchestrationSystem.Found) -> ProcessOrchestrationMessage.Summary {
        ProcessOrchestrationMessage.Summary(
            name: found.name,
            directory: found.directory.name,
            directoryURL: found.directory["URL"] ?? "",
            repository: found.repository.name,
            repositoryURL: found.repository["URL"] ?? "",
            problem: found.problem
        )
    }

    private func add(_ wanted: ProcessOrchestrationMessage.Request, _ scope: Scope) -> HTTPResponse {
        for (user, password) in [(wanted.user, wanted.password), (wanted.repositoryUser, wanted.repositoryPassword)] {
            guard user?.isEmpty != true, password?.isEmpty != true else {
                return .error(.badRequest, "user and password must not be empty")
            }
            guard user?.contains(":") != true else {
                return .error(.badRequest, "a user with a colon cannot be sent (RFC 7617)")
            }
        }
        let repositoryParts = [wanted.repositoryUser, wanted.repositoryPassword, wanted.repositoryLocationID]
        if wanted.repositoryAddress == nil, repositoryParts.contains(where: { $0 != nil }) {
            return .error(.badRequest, "user, password or location ID of an ES Repository need its address")
        }
        for address in [wanted.address, wanted.repositoryAddress].compactMap(\.self) {
            guard let url = WebURL(address), !url.isTLS else {
                return .error(
                    .badRequest,
                    "the address must be the virtual one and begin with http, such as http://pohost:50000"
                )
            }
            guard url.path == "/" else {
                return .error(.badRequest, "the address must have no path: http://\(url.authority)")
            }
            guard !url.host.contains("_") else {
                return .error(
                    .badRequest,
                    "\(url.host) has an underscore, which makes requests fail; give the system a virtual host without one"
                )
            }
        }
        let directory = ProcessOrchestrationSystem.Access(
            address: wanted.address,
            user: wanted.user,
            password: wanted.password,
            locationID: wanted.locationID
        )
        let repository = wanted.repositoryAddress.map { address in
            ProcessOrchestrationSystem.Access(
                address: address,
                user: wanted.repositoryUser ?? wanted.user,
                password: wanted.repositoryPassword ?? wanted.password,
                locationID: wanted.repositoryLocationID ?? wanted.locationID
            )
        }
        do {
            let system = ProcessOrchestrationSystem(name: wanted.name, directory: directory, repository: repository)
            let destinations = try system.destinations()
            if wanted.replaces != true,
                let known = destinations.first(where: { api.store.entry(.destinations, scope, $0.name) != nil })
            {
                return .error(.conflict, "\(known.name) is there already; --replace would replace it")
            }
            for destination in destinations { _ = try store(destination, scope, replaces: true) }
            if destinations.count == 1, try api.store.remove(.destinations, scope, system.repositoryName) {
                record("deleted", system.repositoryName, scope)
            }
            return .json(destinations.map(\.name))
        } catch {
            return .error(.badRequest, "\(error)")
        }
    }

    // MARK: Test

    private func test(_ name: String, _ tenant: Tenant, _ scope: Scope) async -> HTTPResponse {
        let systems = found(scope)
        guard let system = systems.first(where: { $0.name == name }) else {
            let nearest = NearestName.find(name, among: systems.map(\.name)).map { "; did you mean \($0)?" } ?? ""
            return .error(.notFound, "there is no PO system \(LogText.escaped(name.utf8))\(nearest)")
        }
        if let problem = system.problem { return .error(.conflict, problem) }
        return .json([
            await head(system.repository, ProcessOrchestrationSystem.repositoryPath, tenant),
            await head(system.directory, ProcessOrchestrationSystem.directoryPath, tenant),
        ])
    }

    private func head(
        _ destination: NamedConfiguration,
        _ path: String,
        _ tenant: Tenant
    ) async -> ProcessOrchestrationMessage.Check {
        var base = destination["URL"] ?? ""
        while base.hasSuffix("/") { base.removeLast() }
        var check = ProcessOrchestrationMessage.Check(
            destination: destination.name,
            url: base + path,
            status: 0,
            isGood: false,
            explanation: ""
        )
        guard let url = WebURL(base + path) else {
            check.explanation = "the URL of the destination is not an http URL"
            return check
        }
        var fields: HTTPHeaders = [:]
        if case .token(let token)? = try? Authentication.of(destination.properties, tenant: nil, userToken: nil),
            let header = token.http_header
        {
            fields.add(name: header.key, value: header.value)
        }
        do {
            let location = destination["CloudConnectorLocationId"] ?? ""
            let response = try await api.checker.ask(.HEAD, url, location, tenant, service, fields)
            check.status = Int(response.status.code)
            check.isGood = response.status == .ok
            check.explanation = Self.explain(response, url, location)
        } catch {
            check.explanation = "\(error)"
        }
        return check
    }

    private static func explain(_ response: HTTPClient.Response, _ url: WebURL, _ location: String) -> String {
        let system = "\(url.host):\(url.port)"
        let underscore = url.host.contains("_") ? "; the host name has an underscore, which is not allowed" : ""
        if let report = ConnectionChecker.report(response) {
            switch (report.source, report.phase) {
            case (.policy, .system):
                return "\(system) is not exposed: add the system mapping in connector.conf\(underscore)"
            case (.policy, _):
                return
                    "the resource is not exposed: add resource-preset: process-orchestration to \(system) in connector.conf "
                    + "(\(report.cause))"
            case (.tunnel, _):
                let place = location.isEmpty ? "without a location ID" : "with location ID \"\(location)\""
                return "no Cloud Connector \(place) is connected: check the location ID, and that the connector runs"
            case (.backend, _): return "the Cloud Connector does not reach \(system): \(report.cause)"
            default: return report.cause + underscore
            }
        }
        switch response.status.code {
        case 200: return "reached"
        case 401: return "user or password is wrong"
        case 403: return "the user lacks roles: SAP_XI_API_DISPLAY_J2EE, SAP_XI_API_DEVELOP_J2EE, SAP_XI_MONITOR_J2EE"
        case 404:
            return "the service is missing in the system: is this address its Integration Directory or ES Repository?"
        case 503: return "the system answers 503: wrong host or port behind the mapping, or it is down"
        default: return "the system answers \(response.status.code), where 200 is expected"
        }
    }
}
