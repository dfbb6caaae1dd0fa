internal import AdminProtocol
internal import Destinations
internal import JSON
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import Networking
internal import TextFormats
internal import Tokens

/// Requests through a destination, for `connectord action`.
extension DestinationAdmin {
    /// What SAP Build looks for before it offers a destination.
    static let actionProperties = ["sap.processautomation.enabled", "sap.applicationdevelopment.actions.enabled"]

    /// - Returns: nil for a path that is not of actions.
    package func answerAction(_ request: HTTPRequest) async -> HTTPResponse? {
        guard request.method == "POST", request.path.hasPrefix("/actions/") else { return nil }
        guard let wanted = try? JSONLines.decode(ActionMessage.Request.self, request.body) else {
            return .error(.badRequest, "the request's body is not what it should be")
        }
        guard let tenant = tenant(wanted.subaccount) else {
            return .error(.notFound, "there is no such subaccount here; see api.tenants")
        }
        let scope = Scope(tenant: tenant.subdomain)
        switch request.path {
        case "/actions/list":
            let names = Set(
                api.store.all(.destinations, scope).map(\.configuration).filter(Self.isOffered).map(\.name)
            )
            return .json(list(scope).destinations.filter { names.contains($0.name) })
        case "/actions/request": return await send(wanted, tenant, scope)
        default: return nil
        }
    }

    private static func isOffered(_ destination: NamedConfiguration) -> Bool {
        destination["Type"] == "HTTP" && actionProperties.allSatisfy { destination[$0]?.lowercased() == "true" }
    }

    private func send(_ wanted: ActionMessage.Request, _ tenant: Tenant, _ scope: Scope) async -> HTTPResponse {
        guard let entry = api.store.entry(.destinations, scope, wanted.destination) else {
            return missing(wanted.destination, scope)
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
        guard let url = WebURL(destination["URL"] ?? "")?.appending(wanted.target, queries(destination)) else {
            return .error(.conflict, "the URL of \(destination.name) is not an http or https URL")
        }
        do {
            var headers = try await headers(destination, wanted)
            if wanted.csrfTarget != nil, CSRFToken.isNeeded(wanted.method) {
                headers = try await withToken(headers, destination, tenant, wanted)
            }
            let response = try await exchange(url, destination, tenant, wanted, headers)
            let report = ConnectionChecker.report(response)
            let answer = ActionMessage.Answer(
                url: "\(url.isTLS ? "https" : "http")://\(url.authority)\(url.path)",
                status: Int(response.status.code),
                reason: "\(ReasonPhrase.of(Int(response.status.code)))",
                headers: response.headers.map { ActionMessage.Answer.Header(name: $0.name, value: $0.value) },
                body: Base64.encode(response.body),
                refusal: report.map { "\($0.source) (\($0.phase)): \($0.cause)" }
            )
            return .json(answer)
        } catch let failure as AdminError {
            return .error(.conflict, "\(failure)")
        } catch {
            return .error(.badGateway, "\(url.authority): \(error)")
        }
    }

    /// Fetches an X-CSRF-Token: with HEAD, or with GET where that brings none, as SAP's SDKs do.
    private func withToken(
        _ headers: HTTPHeaders,
        _ destination: NamedConfiguration,
        _ tenant: Tenant,
        _ wanted: ActionMessage.Request
    ) async throws -> HTTPHeaders {
        let target = wanted.csrfTarget.flatMap { $0.isEmpty ? nil : $0 } ?? wanted.target
        guard let url = WebURL(destination["URL"] ?? "")?.appending(target, queries(destination)) else {
            throw AdminError("the URL of the X-CSRF-Token is not an http or https URL")
        }
        var asking = headers
        asking.remove(name: "content-type")
        asking.replaceOrAdd(name: "x-csrf-token", value: "Fetch")
        var last = 0
        for method in ["HEAD", "GET"] {
            var fetch = wanted
            (fetch.method, fetch.body) = (method, "")
            let response = try await exchange(url, destination, tenant, fetch, asking)
            last = Int(response.status.code)
            if let token = CSRFToken(response.headers) { return token.applied(to: headers) }
        }
        throw AdminError(
            "\(url.authority)\(url.path) gave no X-CSRF-Token to HEAD and GET with X-CSRF-Token: Fetch (the last status was "
                + "\(last)); name a path that does with --csrf-path"
        )
    }

    /// `URL.queries.…`
    private func queries(_ destination: NamedConfiguration) -> String {
        destination.properties.filter { $0.key.hasPrefix("URL.queries.") }.sorted { $0.key < $1.key }
            .map { "\(PercentText.encode(String($0.key.dropFirst(12))))=\(PercentText.encode($0.value))" }
            .joined(separator: "&")
    }

    /// Of the destination, then of its authentication, then of the action.
    private func headers(_ destination: NamedConfiguration, _ wanted: ActionMessage.Request) async throws -> HTTPHeaders
    {
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
        case .failure(let text): throw AdminError(text)
        case .retrieval(let retrieval): token = await api.retriever.token(retrieval)
        }
        if let error = token?.error { throw AdminError(error) }
        if let header = token?.http_header { headers.replaceOrAdd(name: header.key, value: header.value) }
        for (name, value) in wanted.headers { headers.replaceOrAdd(name: name, value: value) }
        let isClean = headers.allSatisfy { field in
            (field.name + field.value).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        }
        guard isClean else { throw AdminError("a header holds control characters") }
        return headers
    }

    private func exchange(
        _ url: WebURL,
        _ destination: NamedConfiguration,
        _ tenant: Tenant,
        _ wanted: ActionMessage.Request,
        _ headers: HTTPHeaders
    ) async throws -> HTTPClient.Response {
        let body = Base64.decode(wanted.body) ?? []
        let method = HTTPMethod(rawValue: wanted.method)
        guard destination["ProxyType"] == "OnPremise" else {
            return try await api.checker.direct(method, url, headers, body)
        }
        guard !url.isTLS else {
            throw AdminError("\(destination.name): the URL must begin with http; the tunnel is encrypted already")
        }
        let location = destination["CloudConnectorLocationId"] ?? ""
        return try await api.checker.ask(method, url, location, tenant, service, headers, body)
    }
}
