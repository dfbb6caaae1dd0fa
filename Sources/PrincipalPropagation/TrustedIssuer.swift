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
    /// Kerberos has no ticket for this user.
    case ticket(user: String, String)
    /// No KDC has said whether it has one.
    case noTicketService(user: String, String)
    case noKerberos

    package var cause: String {
        switch self {
        case .token(let cause), .subject(_, let cause), .cannotSign(let cause), .ticket(_, let cause),
            .noTicketService(_, let cause):
            cause
        case .noAuthority: "there is no CA certificate"
        case .noKerberos: "Kerberos is not configured"
        case .notConfigured: "principal propagation is not configured"
        }
    }
}
