internal import AdminProtocol
internal import Destinations
internal import HostSystem
internal import JSON
package import Logging
internal import NIOCore
internal import NIOHTTP1
package import Networking
internal import Synchronization
package import Telemetry
internal import TextFormats
package import Tokens

/// What programs and SDKs ask of the cloud side over HTTP: tokens and the keys to check them.
package final class CloudAPI: Sendable {
    package let tokens: TokenService
    package let destinations: DestinationAPI
    private let audit: AuditLog
    private let logger: Logger

    /// Nil where destinations are files.
    private let shared: DestinationDatabase?
    /// What is told of when the keys of tokens change.
    package static let keysTopic = "token-keys"
    package static let clientsName = "clients"

    /// Opens the folder with keys and clients, or the store, and makes what is not there yet.
    ///
    /// - Parameters:
    ///   - vault: of the store that services share; nil for files.
    ///   - port: on which it is served.
    package init(
        _ configuration: CloudAPIConfiguration,
        vault: StoreVault?,
        port: Int,
        _ subaccount: String,
        _ audit: AuditLog,
        _ logger: Logger
    ) throws {
        if vault == nil { try PrivateFile.makeFolder(configuration.directory) }
        func document(_ name: String) -> any SecretDocument {
            vault?.document(name) ?? SecretFile("\(configuration.directory)/\(name).json")
        }
        shared = try vault.map { try DestinationDatabase($0) }
        let keys = try TokenKeys(
            document(Self.keysTopic),
            lifetime: configuration.tokenLifetime,
            now: WallClock.seconds()
        )
        tokens = TokenService(
            keys: keys,
            clients: try ServiceClients(document(Self.clientsName)),
            tenants: [Tenant(subaccount: subaccount, subdomain: configuration.subdomain)] + configuration.tenants,
            url: configuration.url(port: port),
            lifetime: configuration.tokenLifetime
        )
        let trust = configuration.trust
        let client = try HTTPClient(trust: trust)
        destinations = DestinationAPI(
            store: shared ?? DestinationFiles(directory: configuration.destinations),
            tokens: tokens,
            retriever: TokenRetriever(client),
            // Longer than the connector's own limits, whose answers say more.
            checker: ConnectionChecker(try HTTPClient(trust: trust, timeout: .minutes(6)), tokens),
            audit: audit
        )
        self.audit = audit
        self.logger = logger
    }

    /// Another service may have changed destinations.
    package func refresh() throws { try shared?.refresh() }

    /// What the proxy entry believes: tokens that were issued to the connectivity service's client.
    package func proxyVerifier() throws -> TokenVerifier {
        try tokens.verifier([.connectivity], now: WallClock.seconds())
    }

    package var routes: HTTPRoutes {
        HTTPRoutes(
            hint: "here are /oauth/token, /token_keys, /destination-configuration, \(ConnectorsAPI.path) and /healthz",
            [
                .below(DestinationAPI.prefix) { [destinations] request in await destinations.answer(request) },
                .any(ConnectorsAPI.path) { [self] request in
                    ConnectorsAPI(tokens: tokens, registry: destinations.checker.registry).answer(request)
                },
                .any("/oauth/token") { [self] request in token(request) },
                .any("/oauth2/token") { [self] request in token(request) },
                .get("/token_keys") { [tokens] _ in
                    do {
                        return HTTPResponse(status: .ok, body: try tokens.keys.document(now: WallClock.seconds()))
                    } catch {
                        return .error(.internalServerError, "\(error)")
                    }
                },
                .get("/healthz") { _ in .json(AdminMessage.Empty()) },
            ]
        )
    }

    /// Answers in OAuth's words, whatever is wrong (RFC 6749 section 5.2).
    private func token(_ request: HTTPRequest) -> HTTPResponse {
        guard request.method == "POST" || request.method == "GET" else {
            let refusal = TokenRefusal(
                status: 405,
                error: "invalid_request",
                description: "Only POST and GET are allowed here"
            )
            return HTTPResponse(status: .methodNotAllowed, headers: ["allow": "POST, GET"], body: refusal.body)
        }
        return issue(request)
    }

    private func issue(_ request: HTTPRequest) -> HTTPResponse {
        let type = request.headers.first(name: "content-type") ?? ""
        let isForm = type.lowercased().hasPrefix("application/x-www-form-urlencoded")
        guard isForm || request.body.isEmpty else {
            let refusal = TokenRefusal(
                status: 415,
                error: "invalid_request",
                description: "The body must be application/x-www-form-urlencoded"
            )
            return HTTPResponse(status: .unsupportedMediaType, body: refusal.body)
        }
        let wanted = TokenRequest(
            body: request.body,
            query: request.query,
            authorization: request.headers.first(name: "authorization"),
            host: request.host,
            tenant: request.headers.first(name: "x-zid")
        )
        do {
            let answer = try tokens.issue(wanted, now: WallClock.seconds())
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
