/// An identity provider whose tokens count.
package struct TrustedIssuer: Sendable {
    /// As tokens name it (`iss`).
    package let issuer: String
    /// Whose tokens of it count; nil for the connector's own subaccount.
    package let tenant: String?
    package let keys: IssuerKeys

    package init(issuer: String, tenant: String?, keys: IssuerKeys) {
        (self.issuer, self.tenant, self.keys) = (issuer, tenant, keys)
    }
}

/// Why a user does not get through. The texts begin as SAP's do, because people search for them.
package enum PropagationError: Error, Sendable, Equatable {
    /// The token does not count, and why.
    case token(String)
    /// The token counts, but makes no subject.
    case subject(user: String, String)
    case noAuthority
    case notConfigured
    case cannotSign(String)

    package var cause: String {
        switch self {
        case .token(let cause), .subject(_, let cause), .cannotSign(let cause): cause
        case .noAuthority: "there is no CA certificate"
        case .notConfigured: "principal propagation is not configured"
        }
    }
}
