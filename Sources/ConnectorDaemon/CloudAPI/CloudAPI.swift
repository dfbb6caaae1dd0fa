internal import ControlProtocol
internal import Destinations
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// What programs and SDKs ask of the cloud side over HTTP: tokens and the keys to check them.
final class CloudAPI: HTTPRouter {
    let tokens: TokenService
    let destinations: DestinationAPI
    private let audit: AuditLog
    private let logger: Logger

    /// Opens the folder with keys and clients, and makes what is not there yet.
    ///
    /// - Parameter port: on which it is served.
    init(
        _ configuration: CloudConfiguration.API,
        port: Int,
        _ subaccount: String,
        _ audit: AuditLog,
        _ logger: Logger
    ) throws {
        try PrivateFile.makeFolder(configuration.directory)
        let keys = try TokenKeys(
            path: configuration.directory + "/token-keys.json",
            lifetime: configuration.tokenLifetime,
            now: WallClock.seconds()
        )
        tokens = TokenService(
            keys: keys,
            clients: try ServiceClients(path: configuration.directory + "/clients.json"),
            tenants: [Tenant(subaccount: subaccount, subdomain: configuration.subdomain)] + configuration.tenants,
            url: configuration.url(port: port),
            lifetime: configuration.tokenLifetime
        )
        let trust = configuration.trust
        let client = try HTTPClient(trust: trust)
        destinations = DestinationAPI(
            store: DestinationStore(directory: configuration.destinations),
            tokens: tokens,
            retriever: TokenRetriever(client),
            // Longer than the connector's own limits, whose answers say more.
            checker: ConnectionChecker(try HTTPClient(trust: trust, timeout: .minutes(6)), tokens),
            audit: audit
        )
        self.audit = audit
        self.logger = logger
    }

    /// What the proxy entry believes: tokens that were issued to the connectivity service's client.
    func proxyVerifier() throws -> TokenVerifier {
        try tokens.verifier([.connectivity], now: WallClock.seconds())
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        if request.path.hasPrefix(DestinationAPI.prefix) { return await destinations.answer(request) }
        if request.path == ConnectorsAPI.path {
            return ConnectorsAPI(tokens: tokens, registry: destinations.checker.registry).answer(request)
        }
        switch request.path {
        case "/oauth/token", "/oauth2/token":
            guard request.method == "POST" else {
                let refusal = TokenRefusal(
                    status: 405,
                    error: "invalid_request",
                    description: "Only POST is allowed here"
                )
                return HTTPResponse(status: .methodNotAllowed, headers: ["allow": "POST"], body: refusal.body)
            }
            return issue(request)
        case "/token_keys":
            guard ["GET", "HEAD"].contains(request.method) else { return Self.notAllowed("GET") }
            return HTTPResponse(status: .ok, body: tokens.keys.document(now: WallClock.seconds()))
        case "/healthz":
            guard ["GET", "HEAD"].contains(request.method) else { return Self.notAllowed("GET") }
            return .json(AdminMessage.Empty())
        default:
            return .error(
                .notFound,
                "there is no \(LogText.escaped(request.path.utf8)); here are /oauth/token, /token_keys, "
                    + "/destination-configuration, \(ConnectorsAPI.path) and /healthz"
            )
        }
    }

    private static func notAllowed(_ method: String) -> HTTPResponse {
        var response = HTTPResponse.error(.methodNotAllowed, "only \(method) is allowed here")
        response.headers = ["allow": method]
        return response
    }

    private func issue(_ request: HTTPRequest) -> HTTPResponse {
        let type = request.headers.first(name: "content-type") ?? ""
        guard type.lowercased().hasPrefix("application/x-www-form-urlencoded") else {
            let refusal = TokenRefusal(
                status: 415,
                error: "invalid_request",
                description: "The body must be application/x-www-form-urlencoded"
            )
            return HTTPResponse(status: .unsupportedMediaType, body: refusal.body)
        }
        let wish = TokenRequest(
            body: request.body,
            authorization: request.headers.first(name: "authorization"),
            host: request.host,
            tenant: request.headers.first(name: "x-zid")
        )
        do {
            let answer = try tokens.issue(wish, now: WallClock.seconds())
            return HTTPResponse(
                status: .ok,
                contentType: "application/json;charset=UTF-8",
                headers: ["pragma": "no-cache"],
                body: JSONLines.encode(answer)
            )
        } catch let refusal as TokenRefusal {
            audit.record(.tokenRefused, "Token refused: \(refusal.error): \(LogText.escaped(refusal.description.utf8))")
            logger.info(
                "token refused",
                metadata: ["cause": "\(LogText.escaped(refusal.description.utf8))", "client": "\(request.remote)"]
            )
            var response = HTTPResponse(status: .init(statusCode: refusal.status), body: refusal.body)
            if refusal.status == 401 { response.headers = ["www-authenticate": "Basic realm=\"token service\""] }
            return response
        } catch {
            logger.error("no token could be issued", metadata: ["cause": "\(error)"])
            return .error(.internalServerError, "the token could not be issued; the log says why")
        }
    }
}
