internal import ConnectivityService
internal import ControlProtocol
internal import Destinations
internal import Logging
internal import NIOHTTP1
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// The web page for people: connectors, what they expose, destinations with "Check Connection", and what was refused.
final class Cockpit: HTTPRouter {
    private let access: CockpitAccess
    private let service: ConnectivityService
    private let admin: DestinationAdmin
    private let logger: Logger
    private let guesses = PasswordGuesses()

    init(_ access: CockpitAccess, _ service: ConnectivityService, _ api: DestinationAPI, _ logger: Logger) {
        self.access = access
        self.service = service
        self.logger = logger
        admin = DestinationAdmin(api: api, service: service)
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let isGuess = access.password != nil && request.headers.contains(name: "authorization")
        if isGuess, !guesses.mayTry(request.remote) {
            var response = HTTPResponse.text(.tooManyRequests, "One password a second.\n")
            response.headers = ["retry-after": "1"]
            return Self.hardened(response)
        }
        switch access.judge(request) {
        case .allowed:
            var request = request
            if request.method == "HEAD" { request.method = "GET" }
            return Self.hardened(await route(request))
        case .wrongHost:
            return Self.hardened(
                .text(.misdirectedRequest, "This page is not served under this name; see cockpit.host-names.\n")
            )
        case .wrongPassword:
            if isGuess {
                logger.warning("cockpit: wrong password", metadata: ["client": "\(request.remote)"])
                guesses.failed(request.remote)
            }
            var response = HTTPResponse.text(.unauthorized, "The cockpit needs its password.\n")
            response.headers = ["www-authenticate": "Basic realm=\"cockpit\", charset=\"UTF-8\""]
            return Self.hardened(response)
        case .foreignChange:
            return Self.hardened(.text(.forbidden, "Changes are taken from the cockpit's own page only.\n"))
        }
    }

    /// Nothing from outside is loaded, and no other page may frame this one.
    private static func hardened(_ response: HTTPResponse) -> HTTPResponse {
        var response = response
        response.headers.add(
            name: "content-security-policy",
            value: "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        response.headers.add(name: "referrer-policy", value: "no-referrer")
        response.headers.add(name: "cross-origin-resource-policy", value: "same-origin")
        return response
    }

    private func route(_ request: HTTPRequest) async -> HTTPResponse {
        switch (request.method, request.path) {
        case ("GET", "/"): return page()
        case ("GET", "/cockpit.css"): return Self.file("text/css; charset=utf-8", PackageResources.cockpit_css)
        case ("GET", "/cockpit.js"): return Self.file("text/javascript; charset=utf-8", PackageResources.cockpit_js)
        case ("GET", "/api/state"): return .json(state())
        case ("POST", "/api/check"): return await forward(request, to: "/destinations/check")
        case ("POST", "/api/template"): return await forward(request, to: "/destinations/template")
        case ("POST", "/api/po-systems/add"): return await forward(request, to: "/po-systems/add")
        case ("POST", "/api/po-systems/test"): return await forward(request, to: "/po-systems/test")
        default: return .error(.notFound, "there is no \(LogText.escaped(request.path.utf8))")
        }
    }

    private func forward(_ request: HTTPRequest, to path: String) async -> HTTPResponse {
        var request = request
        request.path = path
        if let answer = await admin.answerProcessOrchestration(request) { return answer }
        return await admin.answer(request) ?? .error(.notFound, "there is no \(path)")
    }

    private static func file(_ type: String, _ octets: [UInt8]) -> HTTPResponse {
        HTTPResponse(status: .ok, contentType: type, body: octets)
    }

    private func page() -> HTTPResponse {
        let text = String(decoding: PackageResources.cockpit_html, as: UTF8.self)
        return Self.file(
            "text/html; charset=utf-8",
            Array(text.replacing("CHANGE-TOKEN", with: access.changeToken).utf8)
        )
    }

    private func state() -> CockpitState {
        let connectors = service.registry.status()
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
            refusals: service.refusals.all.prefix(50).map { CockpitState.Refusal(entry: $0, advice: RefusalAdvice($0)) }
        )
    }
}
