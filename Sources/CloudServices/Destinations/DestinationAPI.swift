internal import AdminProtocol
internal import ConnectivityService
internal import Destinations
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Telemetry
internal import TextFormats
internal import Tokens

/// The destination service's REST API, below `/destination-configuration`; shapes and texts as SAP's OpenAPI document of the
/// service has them.
package struct DestinationAPI: Sendable {
    static let prefix = "/destination-configuration/"
    /// Characters of a URI (OpenAPI document, description).
    static let maxTarget = 4000
    static let notFound = "Configuration with the specified name was not found"

    let store: any DestinationStore
    let tokens: TokenService
    let retriever: TokenRetriever
    package let checker: ConnectionChecker
    let audit: AuditLog

    /// Who asks.
    struct Caller: Sendable {
        var tenant: Tenant
        var instance: String
        var user: String?
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard request.path.utf8.count + request.query.utf8.count <= Self.maxTarget else {
            return HTTPResponse.text(.uriTooLong, "The URI is longer than \(Self.maxTarget) characters")
        }
        let encoded = request.path.dropFirst(Self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        let segments = encoded.compactMap { PercentText.decode(String($0)) }
        guard segments.count == encoded.count else {
            return HTTPResponse.text(.badRequest, "The path is not well encoded")
        }
        let caller: Caller
        switch authorize(request) {
        case .failure(let refusal): return refusal
        case .success(let found): caller = found
        }
        let response: HTTPResponse
        switch (segments.first, segments.count > 1 ? segments[1] : "") {
        case ("v1", "destinations") where segments.count == 3: response = await find(segments[2], .v1, request, caller)
        case ("v1", "destinations") where segments.count == 4 && segments[3] == "check":
            response = await check(segments[2], request, caller)
        case ("v2", "destinations") where segments.count == 3: response = await find(segments[2], .v2, request, caller)
        case ("v1", "saml2Metadata"): response = Self.trust(request, caller) ?? Self.noSuchPath(request)
        case ("maintenance", "v1") where segments.dropFirst(2) == ["caches", "ias"]:
            // Nothing of an identity service is kept here.
            response = request.method == "DELETE" ? HTTPResponse(status: .ok, body: []) : Self.notAllowed("DELETE")
        case ("v1", let word):
            guard let collection = Collection(word, caller), segments.count <= 4 else {
                return Self.noSuchPath(request)
            }
            let requests = ConfigurationRequests(store: store, collection: collection, audit: audit)
            let path = Array(segments.dropFirst(2))
            let isReading = request.method == "GET" || request.method == "HEAD"
            // What is written may have to wait for a database.
            response =
                isReading
                ? requests.answer(request, path)
                : (try? await AuthorityThreads.run { requests.answer(request, path) })
                    ?? .error(.serviceUnavailable, "the service is stopping")
        default: return Self.noSuchPath(request)
        }
        return response
    }

    // MARK: Who asks

    private enum Authorization {
        case success(Caller)
        case failure(HTTPResponse)
    }

    private func authorize(_ request: HTTPRequest) -> Authorization {
        guard let value = request.headers.first(name: "authorization"), value.lowercased().hasPrefix("bearer ") else {
            return .failure(Self.unauthorized("Missing or malformed Authorization header. Expected: Bearer <JWT>"))
        }
        do {
            let bytes = value.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") }
            let now = WallClock.seconds()
            let verified = try tokens.verifier([.destination], now: now).verify(bytes, now: now)
            guard let tenant = tokens.tenants.first(where: { $0.subaccount == verified.subaccount }),
                let client = tokens.clients.all.first(where: { $0.id == verified.client })
            else { return .failure(Self.unauthorized("The token's tenant is not served here")) }
            return .success(Caller(tenant: tenant, instance: client.instance, user: verified.user))
        } catch TokenError.wrongClient {
            return .failure(
                HTTPResponse.text(.forbidden, "Forbidden: the token was not issued for the destination service")
            )
        } catch {
            return .failure(Self.unauthorized("Unauthorized: \((error as? TokenError)?.rawValue ?? "\(error)")"))
        }
    }

    private static func unauthorized(_ text: String) -> HTTPResponse {
        var response = HTTPResponse.text(.unauthorized, text)
        response.headers = ["www-authenticate": "Bearer"]
        return response
    }

    // MARK: Answers

    static func object(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        // Clients compare this text byte by byte.
        HTTPResponse(status: status, body: Array(JSONLines.encode(["ErrorMessage": text]).dropLast()))
    }

    static func notAllowed(_ methods: String) -> HTTPResponse {
        var response = HTTPResponse.text(.methodNotAllowed, "Only \(methods) is allowed here")
        response.headers = ["allow": methods]
        return response
    }

    private static func noSuchPath(_ request: HTTPRequest) -> HTTPResponse {
        object(.notFound, "There is no \(LogText.escaped(request.path.utf8))")
    }

    /// Trust of SAML assertions, which this service never makes.
    private static func trust(_ request: HTTPRequest, _ caller: Caller) -> HTTPResponse? {
        let methods: [String]
        switch request.path.dropFirst(prefix.count + "v1/saml2Metadata".count) {
        case "": methods = ["GET"]
        case "/certificate": methods = ["GET", "POST"]
        case "/certificate/passive": methods = ["GET", "POST", "DELETE"]
        case "/rotateCertificate": methods = ["POST"]
        default: return nil
        }
        guard methods.contains(request.method) else { return notAllowed(methods.joined(separator: ", ")) }
        switch request.method {
        case "POST": return .text(.badRequest, "This service makes no SAML assertions and has no trust certificates")
        case "DELETE": return .json(["Count": 0])
        default:
            let message = "Keypair for subaccount - \(caller.tenant.subaccount) does not exist"
            return methods.count > 1 ? object(.notFound, message) : .text(.notFound, message)
        }
    }
}

/// One of the six collections, as the caller sees it.
struct Collection: Sendable {
    /// "subaccountDestinations" and so on.
    var name: String
    var kind: ConfigurationKind
    var scope: Scope

    init?(_ name: String, _ caller: DestinationAPI.Caller) {
        self.name = name
        let isInstance = name.hasPrefix("instance")
        guard isInstance || name.hasPrefix("subaccount") else { return nil }
        switch name.dropFirst(isInstance ? 8 : 10) {
        case "Destinations": kind = .destinations
        case "DestinationFragments": kind = .fragments
        case "Certificates": kind = .certificates
        default: return nil
        }
        scope = Scope(tenant: caller.tenant.subdomain, instance: isInstance ? caller.instance : nil)
    }
}
