/// What a token says, with the names of SAP's XSUAA.
package struct TokenClaims: Codable, Sendable, Equatable {
    /// Marks tokens of XSUAA's kind; SAP's Cloud SDKs look for `enhancer`.
    package struct ExtendedAttributes: Codable, Sendable, Equatable {
        package var enhancer: String?
        package var subaccountid: String?
        /// The subdomain of the subaccount.
        package var zdn: String?
        package var serviceinstanceid: String?

        package init(enhancer: String?, subaccountid: String?, zdn: String?, serviceinstanceid: String?) {
            self.enhancer = enhancer
            self.subaccountid = subaccountid
            self.zdn = zdn
            self.serviceinstanceid = serviceinstanceid
        }
    }

    package var jti: String?
    package var ext_attr: ExtendedAttributes?
    package var sub: String?
    package var authorities: [String]?
    package var scope: [String]?
    package var client_id: String?
    package var cid: String?
    package var azp: String?
    package var grant_type: String?
    package var rev_sig: String?
    package var origin: String?
    package var user_id: String?
    package var user_name: String?
    package var email: String?
    /// Seconds since 1970.
    package var iat: Int?
    package var exp: Int?
    package var nbf: Int?
    package var iss: String?
    /// The tenant: in SAP's world the subaccount's ID.
    package var zid: String?
    package var aud: [String]?

    package init() {}

    /// The application that asked for the token.
    package var client: String? { client_id ?? cid ?? azp }

    /// Whether the token stands for a person; nil for what stands for an application.
    package var user: String? {
        guard grant_type != "client_credentials" else { return nil }
        return user_id ?? user_name ?? email
    }
}

/// Why a token does not count. The texts end up in answers and in the log.
package enum TokenError: String, Error, Sendable {
    case tooLong = "the token is longer than 16384 bytes"
    case notCompact = "it is no JSON Web Token: three parts in base64url, separated by dots, are expected"
    case badHeader = "the token's header is no JSON object with alg and kid"
    case unknownExtension = "the token's header has an extension (crit or b64), and none is known here"
    case badAlgorithm = "the token is not signed with RS256"
    case unknownKey = "the token is signed with a key that this service does not know"
    case badSignature = "the token's signature is wrong"
    case badClaims = "the token's payload is no JSON object with the claims of a token"
    case expired = "the token has expired"
    case notYetValid = "the token is not valid yet: its time of issue lies in the future"
    case noTenant = "the token names no tenant (zid)"
    case noClient = "the token names no client (client_id)"
    case wrongClient = "the token was issued to a client that may not use this service"
}
