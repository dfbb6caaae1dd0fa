package import Cryptography
internal import JSON

/// An identity provider whose tokens count.
package struct TrustedIssuer: Sendable {
    /// As tokens name it (`iss`).
    package let issuer: String
    /// Whose tokens of it count; nil for the connector's own subaccount.
    package let tenant: String?
    let keys: [WebKey]

    package init(issuer: String, tenant: String?, keys: [WebKey]) {
        (self.issuer, self.tenant, self.keys) = (issuer, tenant, keys)
    }

    /// The keys that may have signed a token: the one it names, or, where it names none, the only one there is.
    func keys(for id: String?) -> [WebKey] {
        guard let id else { return keys.count == 1 ? keys : [] }
        return keys.filter { $0.id == id }
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
