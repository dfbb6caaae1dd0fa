internal import ConnectivityService
internal import ControlProtocol
internal import Destinations
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// Requests through a destination, for `connectord action`.
extension DestinationAdmin {
    /// What SAP Build looks for before it offers a destination.
    static let actionProperties = ["sap.processautomation.enabled", "sap.applicationdevelopment.actions.enabled"]

    struct ActionWish: Codable, Sendable {
        var subaccount: String?
        var destination = ""
        var method = "GET"
        /// Path and query, appended to the destination's URL.
        var target = ""
        var headers: [String: String] = [:]
        /// Base64.
        var body = ""
    }

    struct ActionAnswer: Codable, Sendable {
        struct Header: Codable, Sendable {
            var name: String
            var value: String
        }
        var url: String
        var status: Int
        var reason: String
        var headers: [Header]
        /// Base64.
        var body: String
        /// Of an answer that is not the system's own: who failed, and why.
        var refusal: String?
    }

    /// - Returns: nil for a path that is not of actions.
    func answerAction(_ request: HTTPRequest) async -> HTTPResponse? {
        guard request.method == "POST", request.path.hasPrefix("/actions/") else { return nil }
        guard let wish = try? JSONLines.decode(ActionWish.self, request.body) else {
            return .error(.badRequest, "the request's body is not what it should be")
        }
        guard let tenant = tenant(wish.subaccount) else {
            return .error(.notFound, "there is no such subaccount here; see api.tenants")
        }
        let scope = Scope(tenant: tenant.subdomain)
        switch request.path {
        case "/actions/list":
            let names = Set(
                api.store.all(.destinations, scope).map(\.configuration).filter(Self.isOffered).map(\.name)
            )
            return .json(list(scope).destinations.filter { names.contains($0.name) })
        case "/actions/request": return await send(wish, tenant, scope)
        default: return nil
        }
    }

    private static func isOffered(_ destination: NamedConfiguration) -> Bool {
        destination["Type"] == "HTTP" && actionProperties.allSatisfy { destination[$0]?.lowercased() == "true" }
    }

    private func send(_ wish: ActionWish, _ tenant: Tenant, _ scope: Scope) async -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, wish.destination) else {
            return missing(wish.destination, scope)
        }
        let destination = entry.configuration
        guard Self.isOffered(destination) else {
            let lacking = Self.actionProperties.filter { destination[$0]?.lowercased() != "true" }
            let list = lacking.map { "\($0)=true" }.joined(separator: " and ")
            return .error(
                .conflict,
                destination["Type"] == "HTTP"
                    ? "\(destination.name) is not offered to actions: add \(list)"
                    : "\(destination.name) is not of type HTTP"
            )
        }
        var base = destination["URL"] ?? ""
        while base.hasSuffix("/") { base.removeLast() }
        guard let url = WebURL(base + wish.target + queries(destination, wish.target)) else {
            return .error(.conflict, "the URL of \(destination.name) is no http or https URL")
        }
        do {
            let headers = try await headers(destination, wish)
            let response = try await exchange(url, destination, tenant, wish, headers)
            let report = ConnectionChecker.report(response)
            let answer = ActionAnswer(
                url: "\(url.isTLS ? "https" : "http")://\(url.authority)\(url.path)",
                status: Int(response.status.code),
                reason: "\(TunnelCore.StatusText.reason(Int(response.status.code)))",
                headers: response.headers.map { ActionAnswer.Header(name: $0.name, value: $0.value) },
                body: Base64.encode(response.body),
                refusal: report.map { "\($0.source) (\($0.phase)): \($0.cause)" }
            )
            return .json(answer)
        } catch let failure as AdminFailure {
            return .error(.conflict, "\(failure)")
        } catch {
            return .error(.badGateway, "\(url.authority): \(error)")
        }
    }

    /// `URL.queries.…`
    private func queries(_ destination: NamedConfiguration, _ target: String) -> String {
        let pairs = destination.properties.filter { $0.key.hasPrefix("URL.queries.") }.sorted { $0.key < $1.key }
            .map { "\(PercentText.encode(String($0.key.dropFirst(12))))=\(PercentText.encode($0.value))" }
        guard !pairs.isEmpty else { return "" }
        return (target.contains("?") ? "&" : "?") + pairs.joined(separator: "&")
    }

    /// Of the destination, then of its authentication, then of the action.
    private func headers(_ destination: NamedConfiguration, _ wish: ActionWish) async throws -> HTTPHeaders {
        var headers: HTTPHeaders = [:]
        for (key, value) in destination.properties where key.hasPrefix("URL.headers.") {
            headers.replaceOrAdd(name: String(key.dropFirst(12)).lowercased(), value: value)
        }
        for key in ["sap-client", "sap-language"] {
            if let value = destination[key] { headers.replaceOrAdd(name: key, value: value) }
        }
        var token: AuthToken?
        switch try Authentication.of(destination.properties, tenant: nil, userToken: nil) {
        case .none: break
        case .token(let known): token = known
        case .failure(let text): throw AdminFailure(text)
        case .retrieval(let retrieval): token = await api.retriever.token(retrieval)
        }
        if let error = token?.error { throw AdminFailure(error) }
        if let header = token?.http_header { headers.replaceOrAdd(name: header.key, value: header.value) }
        for (name, value) in wish.headers { headers.replaceOrAdd(name: name, value: value) }
        let isClean = headers.allSatisfy { field in
            (field.name + field.value).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        }
        guard isClean else { throw AdminFailure("a header holds control characters") }
        return headers
    }

    private func exchange(
        _ url: WebURL,
        _ destination: NamedConfiguration,
        _ tenant: Tenant,
        _ wish: ActionWish,
        _ headers: HTTPHeaders
    ) async throws -> HTTPClient.Response {
        let body = Base64.decode(wish.body) ?? []
        let method = HTTPMethod(rawValue: wish.method)
        guard destination["ProxyType"] == "OnPremise" else {
            return try await api.checker.direct(method, url, headers, body)
        }
        guard !url.isTLS else {
            throw AdminFailure("\(destination.name): the URL must begin with http; the tunnel is encrypted already")
        }
        let location = destination["CloudConnectorLocationId"] ?? ""
        return try await api.checker.ask(method, url, location, tenant, service, headers, body)
    }
}
