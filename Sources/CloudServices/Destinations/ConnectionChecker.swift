internal import AdminProtocol
package import ConnectivityService
internal import ControlProtocol
internal import HostSystem
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Networking
internal import Synchronization
internal import TextFormats
internal import Tokens

/// "Check Connection" of the cockpit: one request along the way that a program's would take, through token, tunnel, policy and
/// internal host.
///
/// Source: SAP, "Check the Availability of a Destination".
package final class ConnectionChecker: Sendable {
    enum Message {
        static let undetermined = "Backend status could not be determined."
        static let notMapped = "Backend is not available in the list of defined system mappings in Cloud Connector."
        static let resource = "Resource is not accessible in Cloud Connector or backend is not reachable."
        static let notReachable = "Backend is not reachable from Cloud Connector."
        static let internet = "Backend is not reachable."
    }

    private let client: HTTPClient
    private let tokens: TokenService
    let service = Mutex<ConnectivityService?>(nil)

    init(_ client: HTTPClient, _ tokens: TokenService) {
        self.client = client
        self.tokens = tokens
    }

    /// Gives it the service through whose proxy entry it looks.
    package func connect(_ service: ConnectivityService) { self.service.withLock { $0 = service } }

    /// Whose connectors there are; nil before the service has started.
    var registry: TunnelRegistry? { service.withLock { $0?.registry } }

    /// - Parameter properties: of the destination, with fragments merged.
    func check(_ properties: [String: String], _ tenant: Tenant) async -> ConnectionCheck {
        let start = NIODeadline.now()
        var check = ConnectionCheck(
            destination: properties["Name"] ?? "",
            isGood: false,
            message: Message.undetermined,
            milliseconds: 0
        )
        if properties["Type"] != "HTTP" {
            check.detail = "Only destinations of type HTTP can be checked."
        } else if let url = WebURL(properties["URL"] ?? "") {
            switch properties["ProxyType"] ?? "Internet" {
            case "OnPremise": await onPremise(url, properties, tenant, &check)
            case "Internet": await internet(url, &check)
            default: check.detail = "Only the proxy types OnPremise and Internet can be checked."
            }
        } else {
            check.detail = "URL must be an http or https URL such as http://internalhost:3333/path."
        }
        check.milliseconds = Double((NIODeadline.now() - start).nanoseconds / 1000) / 1000
        return check
    }

    // MARK: On-premise

    private func onPremise(
        _ url: WebURL,
        _ properties: [String: String],
        _ tenant: Tenant,
        _ check: inout ConnectionCheck
    ) async {
        guard let service = service.withLock({ $0 }) else { return }
        if url.isTLS {
            check.detail =
                "URL begins with https; the way through the tunnel is encrypted already, and SAP's proxy takes http only."
            return
        }
        let location = properties["CloudConnectorLocationId"] ?? ""
        do {
            var response = try await ask(.HEAD, url, location, tenant, service)
            let isUnknown = [405, 501].contains(response.status.code)
            if isUnknown, Self.report(response) == nil {
                response = try await ask(.GET, url, location, tenant, service)
            }
            judge(response, url, location, tenant, service, &check)
        } catch {
            check.detail = "The request to the own proxy entry failed: \(error)."
        }
        if !check.isGood, url.host.contains("_") {
            let hint = "Host names with an underscore are refused by many clients; use a hyphen in the virtual host."
            check.detail = [check.detail, hint].compactMap(\.self).joined(separator: " ")
        }
    }

    /// One request to a system behind a connector.
    ///
    /// - Parameters:
    ///   - more: further fields, such as those of the destination's authentication.
    func ask(
        _ method: HTTPMethod,
        _ url: WebURL,
        _ location: String,
        _ tenant: Tenant,
        _ service: ConnectivityService,
        _ more: HTTPHeaders = [:],
        _ body: [UInt8] = []
    ) async throws -> HTTPClient.Response {
        let token = try tokens.token(for: .connectivity, user: nil, tenant: tenant, now: WallClock.seconds())
        var headers: HTTPHeaders = [
            "host": url.authority, "user-agent": "connectord/\(Version.current) (connection check)",
            "connection": "close",
            "proxy-authorization": "Bearer \(token.access_token)",
        ]
        if !location.isEmpty { headers.add(name: "sap-connectivity-scc-location_id", value: location) }
        for field in more { headers.replaceOrAdd(name: field.name, value: field.value) }
        HTTPClient.setLength(&headers, method, body)
        let target = "http://\(url.authority)\(url.path)"
        let host = service.proxyHost
        return try await client.send(
            HTTPClient.Request(method: method, target: target, headers: headers, body: body),
            to: .host(host, port: service.proxyPort, isTLS: false)
        )
    }

    static func report(_ response: HTTPClient.Response) -> RefusalReport? {
        response.headers["proxy-status"].lazy.compactMap { RefusalReport(proxyStatus: $0) }.first
    }

    private func judge(
        _ response: HTTPClient.Response,
        _ url: WebURL,
        _ location: String,
        _ tenant: Tenant,
        _ service: ConnectivityService,
        _ check: inout ConnectionCheck
    ) {
        guard let report = Self.report(response) else { return Self.judge(answer: response.status, &check) }
        let system = "\(url.host.lowercased()):\(url.port)"
        let connectors = service.registry.status().filter { $0.subaccount == tenant.subaccount }
        switch (report.source, report.phase) {
        case (.policy, .system):
            check.message = Message.notMapped
            check.detail = Self.mappingDetail(system, location, connectors)
        case (.policy, _):
            check.message = Message.resource
            check.detail = "\(url.path.prefix { $0 != "?" }) on \(system): \(report.cause)."
            if url.path == "/" {
                check.detail! +=
                    " The destination's URL has no path but \"/\", which the check asked for; programs may still reach "
                check.detail! += "exposed paths below it."
            }
        case (.backend, .connect), (.backend, .tls):
            check.message = Message.notReachable
            check.detail = "\(system): \(report.cause)."
        case (.tunnel, _) where response.status == .serviceUnavailable:
            check.detail = Self.connectorDetail(location, connectors)
        default:
            check.detail = "\(response.status.code) from the \(report.side): \(report.cause)."
        }
    }

    private static func judge(answer status: HTTPResponseStatus, _ check: inout ConnectionCheck) {
        check.isGood = status.code < 500
        let text = "\(status.code): \(ReasonPhrase.of(Int(status.code)))"
        if check.isGood {
            check.message = "Connection to \"\(check.destination)\" established. Response returned: \"\(text)\""
        } else {
            check.detail = "The system answered \"\(text)\"."
        }
    }

    /// Where the wanted system, or one that looks like it, is exposed.
    private static func mappingDetail(
        _ system: String,
        _ location: String,
        _ connectors: [ServiceStatus.Connector]
    ) -> String {
        let here = connectors.first { $0.locationID == location }?.systems.map(\.host) ?? []
        let elsewhere = connectors.filter { $0.locationID != location && $0.systems.contains { $0.host == system } }
        if let other = elsewhere.first {
            let place = other.locationID.isEmpty ? "without a location ID" : "with location ID \"\(other.locationID)\""
            return "\(system) is not exposed here, but by the Cloud Connector \(place)."
        }
        if let nearest = NearestName.find(system, among: here) {
            return "\(system) is not exposed; did you mean \(nearest)?"
        }
        let list = here.isEmpty ? "nothing" : here.prefix(8).joined(separator: ", ")
        return "\(system) is not exposed; exposed here: \(list)."
    }

    private static func connectorDetail(_ location: String, _ connectors: [ServiceStatus.Connector]) -> String {
        let wanted =
            location.isEmpty ? "without a location ID" : "with location ID \"\(LogText.escaped(location.utf8))\""
        let connected = connectors.filter { $0.tunnels > 0 }
            .map { $0.locationID.isEmpty ? "one without a location ID" : "\"\($0.locationID)\"" }
        let list = connected.isEmpty ? "none is" : "connected: \(connected.joined(separator: ", "))"
        return "No Cloud Connector \(wanted) is connected; \(list)."
    }

    // MARK: Internet

    /// As SAP's service does, private addresses are not asked: the check would tell who may use it what is inside.
    private func internet(_ url: WebURL, _ check: inout ConnectionCheck) async {
        guard let addresses = try? await Self.resolve(url), !addresses.isEmpty else {
            check.message = Message.internet
            check.detail = "The name \(url.host) cannot be resolved."
            return
        }
        guard addresses.allSatisfy(\.isGlobal) else {
            check.detail = "Private endpoints cannot be checked with the proxy type Internet; use OnPremise."
            return
        }
        let headers: HTTPHeaders = [
            "host": url.authority, "user-agent": "connectord/\(Version.current) (connection check)",
            "connection": "close",
        ]
        do {
            let address = HTTPClient.Address.host(url.host, port: url.port, isTLS: url.isTLS)
            let request = HTTPClient.Request(method: .HEAD, target: url.path, headers: headers)
            Self.judge(answer: try await client.send(request, to: address).status, &check)
        } catch {
            check.message = Message.internet
            check.detail = "\(url.authority): \(error)."
        }
    }

    /// A request without a connector, to a public address.
    func direct(
        _ method: HTTPMethod,
        _ url: WebURL,
        _ more: HTTPHeaders,
        _ body: [UInt8]
    ) async throws -> HTTPClient.Response {
        guard try await Self.resolve(url).allSatisfy(\.isGlobal) else {
            throw HTTPClient.HTTPClientError(
                description: "private endpoints are reached with the proxy type OnPremise only"
            )
        }
        var headers: HTTPHeaders = [
            "host": url.authority, "user-agent": "connectord/\(Version.current)", "connection": "close",
        ]
        for field in more { headers.replaceOrAdd(name: field.name, value: field.value) }
        HTTPClient.setLength(&headers, method, body)
        let request = HTTPClient.Request(method: method, target: url.path, headers: headers, body: body)
        return try await client.send(request, to: .host(url.host, port: url.port, isTLS: url.isTLS))
    }

    private static func resolve(_ url: WebURL) async throws -> [SocketAddress] {
        if let address = try? SocketAddress(ipAddress: url.host, port: url.port) { return [address] }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        return try await HostNames.shared.addresses(of: url.host, on: loop).get()
    }
}
