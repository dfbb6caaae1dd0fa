internal import Cryptography
internal import JSON
package import NIOHTTP1
internal import NIOPosix
package import Networking
internal import PageAccess
internal import Synchronization

/// What stands in front of the page and the API: knows who asks, and lets nobody else in.
///
/// Programs send Basic with each request, or go on with the session of their first one (`JSESSIONID` and `X-CSRF-Token`, as with
/// SAP's product); browsers log in at `/login`. Whoever comes with a session has to send its token with every change.
package final class AdministrationGate: HTTPRouter {
    /// What it tells the log and the audit log.
    package enum Event: Sendable, Equatable {
        case loggedIn(AdminCaller)
        /// A wrong name or password.
        case refused(name: String, address: String)
    }

    private struct Owner: Sendable {
        var name: String
        /// Logged in with a one-time code, and may set a password only.
        var isInitial: Bool
    }

    private struct Verified { var name: String; var generation: Int; var until: ContinuousClock.Instant }

    /// Behind which somebody is known.
    package typealias Inside = @Sendable (HTTPRequest, AdminCaller) async -> HTTPResponse

    package static let passwordPath = "/api/v1/configuration/connector/authentication/basic"
    private static let cacheLimit = 64
    private static let cacheLife = Duration.seconds(300)

    private let users: AdminUsers
    private let settings: @Sendable () -> AdministrationSettings
    private let open: @Sendable (HTTPRequest) async -> HTTPResponse?
    private let inside: Inside
    private let event: @Sendable (Event) -> Void
    private let turns = PasswordTurns()
    private let work = PasswordWork()
    private let pages: PageSessions<Owner>
    private let programs = PageSessions<Owner>(
        cookie: "JSESSIONID",
        .init(idle: .seconds(1800), life: .seconds(12 * 3600), count: 64)
    )
    /// Digests of what has been verified, so that a program that sends its password each time pays for it once.
    private let verified = Mutex<[[UInt8]: Verified]>([:])
    private let salt: [UInt8]

    /// - Parameters:
    ///   - open: answers what needs no login; nil for everything else.
    ///   - inside: answers the rest.
    package init(
        _ users: AdminUsers,
        settings: @escaping @Sendable () -> AdministrationSettings,
        event: @escaping @Sendable (Event) -> Void,
        open: @escaping @Sendable (HTTPRequest) async -> HTTPResponse?,
        inside: @escaping Inside
    ) throws {
        self.users = users
        self.settings = settings
        self.event = event
        self.open = open
        self.inside = inside
        pages = PageSessions(cookie: "connectord-session", Self.limits(settings()))
        salt = try SecureRandom.bytes(32)
    }

    private static func limits(_ settings: AdministrationSettings) -> PageSessions<Owner>.Limits {
        .init(idle: .seconds(settings.idle), life: .seconds(settings.life), count: 64)
    }

    package func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let settings = settings()
        guard settings.isNamed(request.host) else {
            return Self.refusal(
                .misdirectedRequest,
                "INVALID_REQUEST",
                "this page is not served under this name; see admin.host-names"
            )
        }
        if let response = await open(request) { return PageOrigin.hardened(response) }
        let isChange = request.method != "GET" && request.method != "HEAD"
        guard !isChange || PageOrigin.isOwn(request) else {
            return Self.refusal(
                .forbidden,
                "FORBIDDEN_REQUEST",
                "changes are taken from this connector's own page only"
            )
        }
        let address = Self.address(request, settings)
        switch (request.method, request.path) {
        case ("POST", "/login"): return PageOrigin.hardened(await login(request, address))
        case ("POST", "/logout"):
            pages.close(request.headers["cookie"])
            var response = HTTPResponse(status: .noContent, contentType: "", body: [])
            response.headers = ["set-cookie": "\(pages.name)=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"]
            return response
        default: break
        }
        return PageOrigin.hardened(await answer(request, address, isChange))
    }

    /// The client's address, as far as trusted proxies hand it on.
    private static func address(_ request: HTTPRequest, _ settings: AdministrationSettings) -> String {
        settings.trusted.client(of: request)
    }

    // MARK: Who asks

    private func answer(_ request: HTTPRequest, _ address: String, _ isChange: Bool) async -> HTTPResponse {
        let cookies = request.headers["cookie"]
        let isUse = !request.headers.contains(name: "x-background")
        let session = pages.session(cookies, isUse: isUse) ?? programs.session(cookies)
        let owner: Owner
        if let session, users.user(session.owner.name) != nil {
            guard !isChange || PageOrigin.hasToken(request, session.changeToken) else {
                return Self.refusal(
                    .forbidden,
                    "FORBIDDEN_REQUEST",
                    "a change within a session needs its X-CSRF-Token; send no cookie to go without a session"
                )
            }
            owner = session.owner
        } else {
            guard let found = await basic(request, address) else { return Self.unauthorized(request) }
            owner = found
        }
        guard let user = users.user(owner.name) else { return Self.unauthorized(request) }
        if request.method == "GET", request.path == "/session" {
            guard let session else { return Self.refusal(.notFound, "NOT_FOUND", "there is no session") }
            return .json(SessionDocument(user, session, isInitial: owner.isInitial))
        }
        if owner.isInitial, !(request.method == "PUT" && request.path == Self.passwordPath) {
            return Self.refusal(
                .forbidden,
                "FORBIDDEN_REQUEST",
                "operation unavailable unless initial password is changed"
            )
        }
        let caller = AdminCaller(name: user.name, role: user.role, address: address)
        let response = await inside(request, caller)
        return session == nil ? withSession(response, request, owner) : response
    }

    /// As SAP's product: a client's first answer begins a session, unless the client says that it will not come back.
    private func withSession(_ response: HTTPResponse, _ request: HTTPRequest, _ owner: Owner) -> HTTPResponse {
        guard !owner.isInitial,
            !request.headers[canonicalForm: "connection"].contains(where: { $0.lowercased() == "close" }),
            let opened = try? programs.open(owner, isTLS: true)
        else { return response }
        var response = response
        response.headers.add(name: "set-cookie", value: opened.cookie)
        response.headers.add(name: "x-csrf-token", value: opened.changeToken)
        return response
    }

    /// - Returns: nil without a name and its password.
    private func basic(_ request: HTTPRequest, _ address: String) async -> Owner? {
        guard let authorization = request.headers.first(name: "authorization"), authorization.utf8.count <= 4096,
            authorization.prefix(6).lowercased() == "basic ",
            let bytes = Base64.decode(String(authorization.dropFirst(6))),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        let digest = SHA256.digest(salt + Array(authorization.utf8))
        let generation = users.generation
        let cached = verified.withLock { verified -> Verified? in
            guard let found = verified[digest], found.generation == generation, found.until > .now else { return nil }
            return found
        }
        if let cached { return Owner(name: cached.name, isInitial: false) }
        let name = String(decoding: bytes[..<colon], as: UTF8.self)
        let password = String(decoding: bytes[(colon + 1)...], as: UTF8.self)
        switch await verify(name, password, request, address) {
        case nil: return nil
        case .code(let user): return Owner(name: user.name, isInitial: true)
        case .user(let user):
            let entry = Verified(name: user.name, generation: generation, until: .now + Self.cacheLife)
            verified.withLock { verified in
                verified = verified.filter { $0.value.until > .now }
                if verified.count >= Self.cacheLimit { verified = [:] }
                verified[digest] = entry
            }
            event(.loggedIn(AdminCaller(name: user.name, role: user.role, address: address)))
            return Owner(name: user.name, isInitial: false)
        }
    }

    private func verify(
        _ name: String,
        _ password: String,
        _ request: HTTPRequest,
        _ address: String
    ) async -> AdminUsers.Known? {
        // What is longer is nobody's, and not worth the time of telling so.
        guard name.utf8.count <= 64, password.utf8.count <= 1024 else { return nil }
        var known: AdminUsers.Known?
        // Each name of each address waits for itself: one who guesses keeps nobody else waiting.
        _ = await turns.attempt(from: "\(address) \(name.prefix(64))", request.client) {
            known = try? await work.run { [users] in users.known(name, password) }
            return known != nil
        }
        if known == nil { event(.refused(name: name, address: address)) }
        return known
    }

    /// Whether somebody who is known already shows a password or code of his own; as slow and as noted as a login.
    package func confirm(_ name: String, _ password: String, _ request: HTTPRequest) async -> AdminUsers.Known? {
        await verify(name, password, request, Self.address(request, settings()))
    }

    /// Has something done that takes its time, where nobody waits for a thread.
    package func work<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await work.run(body)
    }

    // MARK: The page's login

    private struct Login: Decodable {
        var user: String
        var password: String
    }

    private func login(_ request: HTTPRequest, _ address: String) async -> HTTPResponse {
        guard let login = try? JSONLines.decode(Login.self, request.body) else {
            return Self.refusal(.badRequest, "INVALID_REQUEST", "the body must be {\"user\": …, \"password\": …}")
        }
        let known = await verify(login.user, login.password, request, address)
        let (user, isInitial): (AdminUsers.User, Bool)
        switch known {
        case .user(let found): (user, isInitial) = (found, false)
        case .code(let found): (user, isInitial) = (found, true)
        case nil: return Self.refusal(.unauthorized, "UNAUTHORIZED", "the name or the password is wrong")
        }
        guard let opened = try? pages.open(Owner(name: user.name, isInitial: isInitial), isTLS: true),
            let session = pages.session([String(opened.cookie.prefix { $0 != ";" })])
        else { return Self.refusal(.internalServerError, "RUNTIME_FAILURE", "no session could be opened") }
        event(.loggedIn(AdminCaller(name: user.name, role: user.role, address: address)))
        var response = HTTPResponse.json(SessionDocument(user, session, isInitial: isInitial))
        response.headers.add(name: "set-cookie", value: opened.cookie)
        return response
    }

    /// Ends the sessions of a user whose password is another one now.
    package func endSessions(of name: String) {
        pages.close { $0.name == name }
        programs.close { $0.name == name }
    }

    package func endAllSessions() {
        pages.close { _ in true }
        programs.close { _ in true }
    }

    private struct SessionDocument: Encodable {
        var user: String
        var role: AdminRole
        var title: String
        var changeToken: String
        var mustSetPassword: Bool
        /// Until the session ends, if nothing more comes.
        var secondsLeft: Int

        init(_ user: AdminUsers.User, _ session: PageSessions<Owner>.Session, isInitial: Bool) {
            (self.user, role, title) = (user.name, user.role, user.role.title)
            changeToken = session.changeToken
            mustSetPassword = isInitial
            secondsLeft = Int(session.left.components.seconds)
        }
    }

    // MARK: Refusals

    private static func refusal(_ status: HTTPResponseStatus, _ type: String, _ message: String) -> HTTPResponse {
        .refusal(status, type, message)
    }

    private static func unauthorized(_ request: HTTPRequest) -> HTTPResponse {
        var response = refusal(
            .unauthorized,
            "UNAUTHORIZED",
            "a name and its password are needed; `connectord admin password` on the connector's machine gives a code to set one"
        )
        // A page's script asks for them itself; the browser's own dialog would stand in its way.
        if !request.headers.contains(name: "sec-fetch-mode")
            || request.headers.first(name: "sec-fetch-mode") == "navigate"
        {
            response.headers.add(name: "www-authenticate", value: "Basic realm=\"Cloud Connector\", charset=\"UTF-8\"")
        }
        return response
    }
}

extension HTTPResponse {
    /// In the form of SAP's Cloud Connector (SAP Help, "Configuration REST APIs").
    package static func refusal(_ status: HTTPResponseStatus, _ type: String, _ message: String) -> HTTPResponse {
        .json(Refused(type: type, message: message), status)
    }

    private struct Refused: Encodable {
        var type: String
        var message: String
    }
}

/// Works on one password after the other: each takes 32 MiB and a tenth of a second of a processor.
private actor PasswordWork {
    private var last: Task<Void, Never>?

    /// On a thread that may take its time.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        let previous = last
        let task = Task {
            await previous?.value
            return try await NIOThreadPool.singleton.runIfActive(body)
        }
        last = Task { _ = try? await task.value }
        return try await task.value
    }
}
