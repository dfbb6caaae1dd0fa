internal import AccessPolicy
internal import HostSystem
internal import TextFormats
internal import Tokens
internal import TunnelCore

/// Who may send requests, and what a connection is bound to by its first one.
extension ProxyConnection {
    /// What the first request of a connection fixed for those after it (SAP's proxy knows no other way).
    struct Binding {
        /// Host and port as they came.
        var authority: [UInt8]
        var principal: String
    }

    /// Checks who sends the request, and adds what the connector is to know of it.
    func authorize(_ credentials: RequestCredentials) throws(Refusal) {
        // After CONNECT, which has said it.
        let isSaid = inside == nil ? false : unsafe credentials.isEmpty
        if isSaid, let inside { principal = inside.principal }
        let isKnown = unsafe isSaid || principal.isSame(credentials)
        if !isKnown || principal.token == nil && loop.configuration.tokens != nil {
            principal = try unsafe identify(credentials)
        } else if let token = principal.token, token.token.expires <= WallClock.seconds() {
            throw TokenCache.refusal(
                "Invalid header: proxy-authorization. Expected: Bearer <valid JWT token>",
                TokenError.expired.rawValue
            )
        } else if loop.configuration.tokens == nil {
            principal.token = nil
        }
        if loop.configuration.isStrict, let binding, binding.principal != principal.name {
            throw Self.bound("another principal", "was already used for another principal")
        }
        if isSaid { return appendSaid() }
        if let user = unsafe credentials.user { unsafe loop.fields.append(Self.userField, user, known: .userToken) }
        if let user = unsafe credentials.technicalUser {
            unsafe loop.fields.append(Self.technicalUserField, user, known: .technicalUserToken)
        }
        if let token = principal.token, !token.carried.isEmpty {
            unsafe token.carried.withUnsafeBytes { unsafe loop.fields.append(Self.userField, $0, known: .userToken) }
        }
    }

    /// The users of the CONNECT.
    private func appendSaid() {
        let fields = loop.fields
        let carried = principal.user.isEmpty ? principal.token?.carried ?? [] : principal.user
        if !carried.isEmpty {
            unsafe carried.withUnsafeBytes { unsafe fields.append(Self.userField, $0, known: .userToken) }
        }
        if !principal.technicalUser.isEmpty {
            unsafe principal.technicalUser.withUnsafeBytes {
                unsafe fields.append(Self.technicalUserField, $0, known: .technicalUserToken)
            }
        }
    }

    private static let userField: StaticString = "sap-connectivity-authentication"
    private static let technicalUserField: StaticString = "sap-connectivity-technical-authentication"

    private func identify(_ credentials: RequestCredentials) throws(Refusal) -> ConnectionPrincipal {
        var new = ConnectionPrincipal()
        new.authorization = unsafe credentials.authorization.map { unsafe Array($0) } ?? []
        new.user = unsafe credentials.user.map { unsafe Array($0) } ?? []
        new.technicalUser = unsafe credentials.technicalUser.map { unsafe Array($0) } ?? []
        if let verifier = loop.configuration.tokens {
            guard let value = unsafe credentials.authorization, unsafe !value.isEmpty else {
                throw TokenCache.refusal("Missing or empty header: proxy-authorization", nil)
            }
            let token = try unsafe loop.tokens.admit(value, verifier, now: WallClock.seconds())
            guard unsafe token.carried.isEmpty || credentials.user == nil else {
                throw Refusal(
                    badRequest: "SAP-Connectivity-Authentication beside a Proxy-Authorization that stands for a user"
                )
            }
            new.token = token
            new.name = token.principal
        }
        unsafe [credentials.user, credentials.technicalUser].forEach { value in
            guard let value = unsafe value else { return }
            let token = unsafe TokenCache.bytes(value, after: "bearer ") ?? Array(value)
            new.name += " \(TokenVerifier.principal(of: token))"
        }
        return new
    }

    /// Whose connectors serve the request.
    var subaccount: String { principal.token?.token.subaccount ?? loop.configuration.subaccount }

    // MARK: Binding

    /// Binds the connection to what its first request asked for, and holds those after it to that.
    func checkBinding(_ authority: UnsafeRawBufferPointer) throws(Refusal) {
        guard loop.configuration.isStrict else { return binding = nil }
        guard let binding else {
            return binding = unsafe Binding(authority: Array(authority), principal: principal.name)
        }
        let isSame = unsafe binding.authority.withUnsafeBytes { bound in
            unsafe Bytes.isEqual(bound, authority) || Self.sameSystem(bound, authority)
        }
        guard isSame else {
            throw Self.bound(
                "another virtual host",
                "was already used for virtual host \(LogText.escaped(binding.authority))"
            )
        }
    }

    static func sameSystem(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        let (one, other) = unsafe (
            one.assumingMemoryBound(to: UInt8.self).span, other.assumingMemoryBound(to: UInt8.self).span
        )
        guard let first = try? RequestAuthority(one, in: 0..<one.count),
            let second = try? RequestAuthority(other, in: 0..<other.count)
        else { return false }
        return RequestAuthority.sameSystem(first, in: one, second, in: other)
    }

    private static func bound(_ cause: String, _ text: String) -> Refusal {
        Refusal(
            status: 403,
            source: .client,
            phase: .request,
            cause: "\(cause) on a connection that is bound already",
            proxyStatus: "http_request_denied",
            text: "Access denied: this connection \(text). Open a new connection for \(cause), "
                + "as the real connectivity proxy demands (connection-binding: strict)."
        )
    }

    /// Subaccount and location ID of a connection cannot change.
    var otherTunnel: Refusal {
        let location = LogText.escaped(groupLocationID)
        return Refusal(
            status: 400,
            source: .client,
            phase: .request,
            cause: "another subaccount or location ID on a connection that is bound already",
            proxyStatus: "http_request_error",
            text:
                "One of the headers [SAP-Connectivity-ConsumerAccount, SAP-Connectivity-SCC-Location_ID] was set with a "
                + "different value compared to the value which was already used for this connection.\n"
                + "Original tunnel ID: account:///\(LogText.escaped(groupSubaccount.utf8))"
                + (location.isEmpty ? "" : "/\(location)")
        )
    }
}
