package import AdminProtocol
package import ConnectivityService
internal import ControlProtocol
internal import Destinations
internal import HostSystem
package import Logging
internal import NIOHTTP1
internal import Networking
internal import PageAccess
internal import TextFormats
internal import Tokens

/// The web page for people: connectors, what they expose, destinations with "Check Connection", and what was refused.
package final class Cockpit: HTTPRouter {
    private let access: CockpitAccess
    private let service: ConnectivityService
    private let admin: DestinationAdmin
    private let logger: Logger
    private let status: @Sendable () async -> ServiceStatus
    private let turns = PasswordTurns()
    private let sessions = PageSessions<Void>(
        cookie: "connectord-cockpit",
        .init(idle: .seconds(12 * 3600), life: .seconds(7 * 24 * 3600), count: 64)
    )

    /// - Parameter status: of this service, and of those beside it.
    package init(
        _ access: CockpitAccess,
        _ service: ConnectivityService,
        _ api: DestinationAPI,
        _ logger: Logger,
        status: @escaping @Sendable () async -> ServiceStatus
    ) {
        self.status = status
        self.access = access
        self.service = service
        self.logger = logger
        admin = DestinationAdmin(api: api, service: service)
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard access.isNamed(request) else {
            return PageOrigin.hardened(
                .text(.misdirectedRequest, "This page is not served under this name; see cockpit.host-names.\n")
            )
        }
        guard let login = await login(request) else {
            var response = HTTPResponse.text(.unauthorized, "The cockpit needs its password.\n")
            response.headers = ["www-authenticate": "Basic realm=\"cockpit\", charset=\"UTF-8\""]
            return PageOrigin.hardened(response)
        }
        guard access.isOwnChange(request) else {
            return PageOrigin.hardened(.text(.forbidden, "Changes are taken from the cockpit's own page only.\n"))
        }
        var response = PageOrigin.hardened(await content(request))
        if case .new(let cookie) = login { response.headers.add(name: "set-cookie", value: cookie) }
        return response
    }

    private enum Login {
        case notNeeded, known
        case new(cookie: String)
    }

    /// - Returns: nil without the password.
    private func login(_ request: HTTPRequest) async -> Login? {
        guard access.password != nil else { return .notNeeded }
        if sessions.session(request.headers["cookie"]) != nil { return .known }
        guard let authorization = request.headers.first(name: "authorization") else { return nil }
        let isRight = await turns.attempt(from: request.remote, request.client) { access.knows(authorization) }
        guard isRight else {
            logger.warning("cockpit: wrong password", metadata: ["client": "\(request.remote)"])
            return nil
        }
        let isTLS = request.headers.first(name: "x-forwarded-proto") == "https"
        return (try? sessions.open((), isTLS: isTLS)).map { .new(cookie: $0.cookie) } ?? .notNeeded
    }

    private func content(_ request: HTTPRequest) async -> HTTPResponse {
        if let shared = SharedPage.answer(request) { return shared }
        return await routes.answer(request)
    }

    private var routes: HTTPRoutes {
        HTTPRoutes([
            .get("/") { [self] _ in page() },
            .get("/cockpit.css") { _ in Self.file("text/css; charset=utf-8", PackageResources.cockpit_css) },
            .get("/cockpit.js") { _ in Self.file("text/javascript; charset=utf-8", PackageResources.cockpit_js) },
            .get("/api/state") { [self] _ in .json(await state()) },
            .post("/api/check") { [self] request in await forward(request, to: "/destinations/check") },
            .post("/api/template") { [self] request in await forward(request, to: "/destinations/template") },
            .post("/api/po-systems/add") { [self] request in await forward(request, to: "/po-systems/add") },
            .post("/api/po-systems/test") { [self] request in await forward(request, to: "/po-systems/test") },
        ])
    }

    private func forward(_ request: HTTPRequest, to path: String) async -> HTTPResponse {
        var request = request
        request.path = path
        if let answer = await admin.answerProcessOrchestration(request) { return answer }
        return await admin.answer(request) ?? .error(.notFound, "there is no \(path)")
    }

    private static func file(_ type: String, _ bytes: [UInt8]) -> HTTPResponse {
        HTTPResponse(status: .ok, contentType: type, body: bytes)
    }

    private func page() -> HTTPResponse {
        let text = String(decoding: PackageResources.cockpit_html, as: UTF8.self)
        return Self.file(
            "text/html; charset=utf-8",
            Array(text.replacing("CHANGE-TOKEN", with: access.changeToken).utf8)
        )
    }

    private func state() async -> CockpitState {
        let requests = await service.recentRequests()
        let status = await status()
        let connectors = status.connectors
        let tenants = admin.api.tokens.tenants
        return CockpitState(
            version: Version.current,
            now: WallClock.seconds(),
            proxy: service.proxyAddress,
            subaccounts: tenants.map { tenant in
                let list = admin.list(Scope(tenant: tenant.subdomain))
                return CockpitState.Subaccount(
                    id: tenant.subaccount,
                    subdomain: tenant.subdomain,
                    connectors: connectors.filter { $0.subaccount == tenant.subaccount },
                    destinations: list.destinations,
                    systems: admin.processOrchestrationSystems(Scope(tenant: tenant.subdomain)),
                    findings: list.findings
                )
            },
            refusals: service.refusals.all.prefix(50).map { entry in
                let exposed = connectors.filter {
                    $0.subaccount == entry.subaccount && $0.locationID == entry.locationID
                }.flatMap { $0.systems.map(\.host) }
                return CockpitState.Refusal(entry: entry, advice: RefusalAdvice(entry, exposed: exposed))
            },
            requests: requests,
            listeners: service.listenerStatus,
            refusedConnections: service.refusedConnections,
            certificates: status.certificates?.suffix(50).reversed(),
            tokens: status.tokens,
            name: status.name,
            services: status.services
        )
    }
}
