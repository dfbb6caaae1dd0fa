package import AdminProtocol
internal import JSON
internal import TextFormats

/// A subaccount that tokens can be issued for.
package struct Tenant: Sendable, Equatable {
    /// The subaccount's ID, `zid` in tokens.
    package var subaccount: String
    /// First host label under which clients ask for its tokens.
    package var subdomain: String

    package init(subaccount: String, subdomain: String) {
        self.subaccount = subaccount
        self.subdomain = subdomain
    }
}

/// What came to `/oauth/token`: parameters in the body, in the URL, or in both, as SAP's pages ask for tokens.
package struct TokenRequest: Sendable {
    package var body: [UInt8]
    /// Of the URL, without the question mark.
    package var query: String
    /// `Authorization`, if there was one.
    package var authorization: String?
    /// Without a port.
    package var host: String
    /// `x-zid`: a tenant by its ID.
    package var tenant: String?

    package init(body: [UInt8], query: String = "", authorization: String?, host: String, tenant: String?) {
        self.body = body
        self.query = query
        self.authorization = authorization
        self.host = host
        self.tenant = tenant
    }
}

/// Why no token is issued, in the form of RFC 6749 section 5.2.
package struct TokenRefusal: Error, Sendable, Equatable {
    package var status: Int
    package var error: String
    package var description: String

    package init(status: Int, error: String, description: String) {
        self.status = status
        self.error = error
        self.description = description
    }

    package var body: [UInt8] { JSONLines.encode(["error": error, "error_description": description]) }

    static let badCredentials = TokenRefusal(status: 401, error: "unauthorized", description: "Bad credentials")
}

/// Answers requests for tokens as XSUAA does, without touching a socket or a clock.
package struct TokenService: Sendable {
    /// The answer of `/oauth/token` (RFC 6749 section 5.1), with the fields that SAP's SDKs read.
    package struct Answer: Encodable, Sendable {
        package var access_token: String
        var token_type = "bearer"
        var expires_in: Int
        /// Separated by spaces, where the token has an array.
        var scope: String
        var jti: String
    }

    package let keys: TokenKeys
    package let clients: ServiceClients
    /// The first one is asked for where a request names none.
    package let tenants: [Tenant]
    /// Under which clients reach this service, without a slash at the end.
    package let url: String
    /// Of tokens, in seconds.
    package let lifetime: Int

    package init(keys: TokenKeys, clients: ServiceClients, tenants: [Tenant], url: String, lifetime: Int) {
        precondition(!tenants.isEmpty, "a token service without tenants")
        self.keys = keys
        self.clients = clients
        self.tenants = tenants
        self.url = url
        self.lifetime = lifetime
    }

    /// - Parameter now: seconds since 1970.
    package func issue(_ request: TokenRequest, now: Int) throws -> Answer {
        guard let form = FormData(request.body, query: request.query) else {
            throw TokenRefusal(
                status: 400,
                error: "invalid_request",
                description: "The body is not a form of name=value pairs"
            )
        }
        let client = try authenticate(form, request.authorization)
        switch form["grant_type"] {
        case "client_credentials":
            let tenant = try tenant(request)
            return try answer(claims(client, tenant, grant: "client_credentials", now))
        case "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return try exchange(form, request, client, now)
        case nil, "":
            throw TokenRefusal(status: 400, error: "invalid_request", description: "Missing grant type")
        case .some(let other):
            throw TokenRefusal(
                status: 400,
                error: "unsupported_grant_type",
                description: "Unsupported grant type: \(other.prefix(100)); client_credentials and "
                    + "urn:ietf:params:oauth:grant-type:jwt-bearer are supported"
            )
        }
    }

    /// A token without a client's secret: for who may ask the service itself.
    package func token(
        for service: BoundService,
        user: String?,
        tenant: Tenant,
        now: Int
    ) throws -> Answer {
        guard let client = clients.first(service) else { throw TokenRefusal.badCredentials }
        guard let user else { return try answer(claims(client, tenant, grant: "client_credentials", now)) }
        return try userToken(user, client, tenant, now)
    }

    /// As a login to the program would bring it.
    private func userToken(_ user: String, _ client: ServiceClient, _ tenant: Tenant, _ now: Int) throws -> Answer {
        var claims = claims(client, tenant, grant: "password", now)
        claims.scope = ["openid"]
        claims.authorities = nil
        claims.origin = "local"
        claims.user_name = user
        claims.email = user.contains("@") ? user : "\(user)@example.com"
        // The same for the same user, as SDKs keep what they cache by it.
        claims.user_id = "\(tenant.subaccount)/\(user)"
        claims.sub = claims.user_id
        return try answer(claims)
    }

    /// What checks the tokens of now.
    package func verifier(_ services: Set<BoundService>, now: Int) throws -> TokenVerifier {
        try keys.verifier(clients: Set(clients.all.filter { services.contains($0.service) }.map(\.id)), now: now)
    }

    // MARK: Client

    /// Credentials come in the body or as Basic, not both (RFC 6749 section 2.3).
    private func authenticate(_ form: FormData, _ authorization: String?) throws(TokenRefusal) -> ServiceClient {
        var credentials: (id: String, secret: String)?
        if let authorization {
            guard authorization.prefix(6).lowercased() == "basic ",
                let bytes = Base64.decode(String(authorization.dropFirst(6))),
                let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
                // RFC 6749 has both form-encoded inside; many clients send them plainly.
                let id = PercentText.decode(bytes[..<colon]),
                let secret = PercentText.decode(bytes[(colon + 1)...])
            else { throw .badCredentials }
            credentials = (id, secret)
        } else if let id = form["client_id"] {
            credentials = (id, form["client_secret"] ?? "")
        }
        guard let credentials, let client = clients.authenticate(credentials.id, credentials.secret) else {
            throw .badCredentials
        }
        if let id = form["client_id"], id != client.id { throw .badCredentials }
        return client
    }

    // MARK: Tenant

    private func tenant(_ request: TokenRequest) throws(TokenRefusal) -> Tenant {
        if let id = request.tenant, !id.isEmpty { return try tenant(id) }
        let own = Self.host(of: url)
        let host = request.host.lowercased()
        guard host != own, let dot = host.firstIndex(of: ".") else { return tenants[0] }
        let (label, rest) = (host[..<dot], host[host.index(after: dot)...])
        // The URL may itself begin with a tenant's label, as XSUAA's do.
        let isOwn = rest == own || own.split(separator: ".", maxSplits: 1).last.map { $0 == rest } ?? false
        guard isOwn else { return tenants[0] }
        guard let tenant = tenants.first(where: { $0.subdomain.lowercased() == label }) else {
            throw TokenRefusal(
                status: 404,
                error: "invalid_tenant",
                description: "The subdomain does not map to a valid identity zone."
            )
        }
        return tenant
    }

    private func tenant(_ id: String) throws(TokenRefusal) -> Tenant {
        guard let tenant = tenants.first(where: { $0.subaccount == id }) else {
            throw TokenRefusal(status: 401, error: "unauthorized", description: "There is no such tenant")
        }
        return tenant
    }

    /// Host of a URL in lower case, without scheme, port and path.
    package static func host(of url: String) -> String {
        let rest = url.split(separator: "://", maxSplits: 1).last ?? ""
        let authority = rest.prefix { $0 != "/" }
        if authority.hasPrefix("[") { return String(authority.prefix { $0 != "]" }).lowercased() + "]" }
        return String(authority.prefix { $0 != ":" }).lowercased()
    }

    // MARK: Tokens

    /// A user's token of one client becomes one of another (RFC 7523 section 2.1).
    private func exchange(
        _ form: FormData,
        _ request: TokenRequest,
        _ client: ServiceClient,
        _ now: Int
    ) throws -> Answer {
        guard let assertion = form["assertion"], !assertion.isEmpty else {
            throw TokenRefusal(status: 400, error: "invalid_request", description: "Missing assertion")
        }
        let verified: VerifiedToken
        do {
            verified = try keys.verifier(clients: [], now: now).verify(assertion.utf8, now: now)
        } catch let error as TokenError {
            throw TokenRefusal(
                status: 401,
                error: "invalid_token",
                description: "The assertion is refused: \(error.rawValue)"
            )
        }
        guard verified.user != nil else {
            throw TokenRefusal(status: 401, error: "invalid_token", description: "The assertion stands for no user")
        }
        let tenant = try tenant(verified.subaccount)
        if let wanted = request.tenant, !wanted.isEmpty, wanted != tenant.subaccount {
            throw TokenRefusal(
                status: 401,
                error: "invalid_token",
                description: "The assertion belongs to another tenant than x-zid"
            )
        }
        var claims = claims(client, tenant, grant: "urn:ietf:params:oauth:grant-type:jwt-bearer", now)
        claims.scope = client.scopes.filter { $0 != "uaa.resource" } + ["openid"]
        claims.authorities = nil
        let user = verified.claims
        (claims.user_name, claims.user_id, claims.email, claims.origin, claims.sub) =
            (user.user_name, user.user_id, user.email, user.origin, user.sub)
        return try answer(claims)
    }

    private func claims(_ client: ServiceClient, _ tenant: Tenant, grant: String, _ now: Int) -> TokenClaims {
        var claims = TokenClaims()
        claims.ext_attr = TokenClaims.ExtendedAttributes(
            enhancer: "XSUAA",
            subaccountid: tenant.subaccount,
            zdn: tenant.subdomain,
            serviceinstanceid: client.instance
        )
        claims.sub = client.id
        claims.authorities = client.scopes
        claims.scope = client.scopes
        claims.client_id = client.id
        claims.cid = client.id
        claims.azp = client.id
        claims.grant_type = grant
        claims.iat = now
        claims.exp = now + lifetime
        claims.iss = url + "/oauth/token"
        claims.zid = tenant.subaccount
        claims.aud = [client.id, client.application]
        return claims
    }

    private func answer(_ claims: TokenClaims) throws -> Answer {
        var claims = claims
        let id = try UUIDText.random()
        claims.jti = id
        return Answer(
            access_token: try JSONWebToken.sign(claims, with: try keys.current, keyURL: url + "/token_keys"),
            expires_in: lifetime,
            scope: (claims.scope ?? []).joined(separator: " "),
            jti: id
        )
    }
}
