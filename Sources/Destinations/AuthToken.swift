internal import JSON
internal import TextFormats

/// What a program puts into its request to authenticate, in the shape of the find API.
package struct AuthToken: Codable, Sendable, Equatable {
    /// The field that carries the token to the internal host.
    package struct Header: Codable, Sendable, Equatable {
        package var key: String
        package var value: String
    }

    package var type: String
    package var value: String
    package var http_header: Header?
    /// Seconds, as a text.
    package var expires_in: String?
    package var scope: String?
    /// Why there is none; SAP's service reports it within an answer 200.
    package var error: String?

    static func basic(user: String, password: String) -> AuthToken {
        let value = Base64.encode("\(user):\(password)")
        return AuthToken(
            type: "Basic",
            value: value,
            http_header: Header(key: "Authorization", value: "Basic \(value)")
        )
    }

    /// A token that could not be had, with the reason in its place, as SAP's service answers.
    package static func failure(_ text: String) -> AuthToken { AuthToken(type: "", value: "", error: text) }

    /// - Parameter body: what the token service answered.
    package init?(answer body: [UInt8]) {
        guard case .object(let members)? = try? JSONLines.decode(JSONValue.self, body),
            let token = members["access_token"]?.string, !token.isEmpty
        else { return nil }
        let type = members["token_type"]?.string ?? "bearer"
        let name = type.lowercased() == "bearer" ? "Bearer" : type
        (self.type, value) = (type, token)
        http_header = Header(key: "Authorization", value: "\(name) \(token)")
        switch members["expires_in"] {
        case .integer(let seconds): expires_in = String(seconds)
        case .string(let text): expires_in = text
        default: break
        }
        scope = members["scope"]?.string
    }

    private init(
        type: String,
        value: String,
        http_header: Header? = nil,
        error: String? = nil
    ) {
        self.type = type
        self.value = value
        self.http_header = http_header
        self.error = error
    }
}

/// A request to the token service that a destination names.
package struct TokenRetrieval: Sendable, Hashable {
    package var url: String
    package var headers: [String: String]
    /// `application/x-www-form-urlencoded`.
    package var body: String
}

/// What a destination's authentication type needs.
package enum Authentication: Sendable, Equatable {
    /// The program does it, or there is nothing to do.
    case none
    case token(AuthToken)
    case retrieval(TokenRetrieval)
    case failure(String)

    /// - Parameters:
    ///   - tenant: `X-tenant`.
    ///   - userToken: `X-user-token`.
    /// - Throws: where SAP's service refuses the request itself.
    package static func of(
        _ properties: [String: String],
        tenant: String?,
        userToken: String?
    ) throws(DestinationError) -> Authentication {
        let type = properties["Authentication"] ?? "NoAuthentication"
        switch type {
        case "BasicAuthentication":
            guard let user = properties["User"], let password = properties["Password"] else {
                return .failure("BasicAuthentication needs the properties User and Password")
            }
            return .token(.basic(user: user, password: password))
        case "OAuth2ClientCredentials", "OAuth2TechnicalUserPropagation":
            guard tenant == nil || userToken == nil else {
                throw DestinationError("X-tenant and X-user-token exclude each other")
            }
            return try clientCredentials(properties, tenant)
        case _ where type.hasPrefix("OAuth2"):
            return .failure(
                "Tokens for \(type) are not retrieved by this service; ask with $skipTokenRetrieval=true and use the "
                    + "properties"
            )
        default: return .none
        }
    }

    private static func clientCredentials(
        _ properties: [String: String],
        _ tenant: String?
    ) throws(DestinationError) -> Authentication {
        guard let base = properties["tokenServiceURL"], base.hasPrefix("http://") || base.hasPrefix("https://") else {
            return .failure("OAuth2ClientCredentials needs the property tokenServiceURL, an http or https URL")
        }
        guard let id = properties["clientId"] else { return .failure("the property clientId is missing") }
        let url = try url(base, isCommon: properties["tokenServiceURLType"] == "Common", tenant)
        let secret = properties["clientSecret"] ?? ""
        var form = ["grant_type": "client_credentials"]
        if properties["tokenService.addClientCredentialsInBody"] != "false" {
            (form["client_id"], form["client_secret"]) = (id, secret)
        }
        form["scope"] = properties["scope"]
        var retrieval = TokenRetrieval(url: url, headers: [:], body: "")
        var queries: [String] = []
        for (key, value) in properties.sorted(by: { $0.key < $1.key }) {
            if let name = key.after("tokenService.body.") { form[name] = value }
            if let name = key.after("tokenService.headers.") ?? key.after("tokenServiceURL.headers.") {
                retrieval.headers[name.lowercased()] = value
            }
            if let name = key.after("tokenServiceURL.queries.") ?? key.after("tokenService.queries.") {
                queries.append("\(PercentText.encode(name))=\(PercentText.encode(value))")
            }
        }
        if !queries.isEmpty { retrieval.url += (url.contains("?") ? "&" : "?") + queries.joined(separator: "&") }
        let user = properties["tokenServiceUser"] ?? id
        let password = properties["tokenServiceUser"] == nil ? secret : properties["tokenServicePassword"] ?? ""
        retrieval.headers["authorization"] = "Basic " + Base64.encode("\(user):\(password)")
        retrieval.body = form.sorted { $0.key < $1.key }
            .map { "\(PercentText.encode($0.key))=\(PercentText.encode($0.value))" }.joined(separator: "&")
        return .retrieval(retrieval)
    }

    /// A common token service has each tenant under its own host.
    private static func url(
        _ base: String,
        isCommon: Bool,
        _ tenant: String?
    ) throws(DestinationError) -> String {
        guard isCommon else {
            guard tenant == nil else {
                throw DestinationError(
                    "X-tenant is not allowed: the tokenServiceURLType of the destination is Dedicated"
                )
            }
            return base
        }
        guard let tenant else {
            throw DestinationError("X-tenant is missing: the tokenServiceURLType of the destination is Common")
        }
        guard !tenant.isEmpty, tenant.utf8.allSatisfy(NamedConfiguration.isNameByte) else {
            throw DestinationError("X-tenant must be a subdomain")
        }
        if base.contains("{tenant}") {
            return base.split(separator: "{tenant}", omittingEmptySubsequences: false).joined(separator: tenant)
        }
        let parts = base.split(separator: "://", maxSplits: 1)
        return "\(parts[0])://\(tenant).\(parts.count > 1 ? parts[1] : "")"
    }
}

extension String {
    /// What follows `prefix`, if it is the beginning and something follows.
    fileprivate func after(_ prefix: String) -> String? {
        hasPrefix(prefix) && utf8.count > prefix.utf8.count ? String(dropFirst(prefix.count)) : nil
    }
}
