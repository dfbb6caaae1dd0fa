internal import JSON

/// What a token says about the user it stands for, by the names of subject patterns.
///
/// Source: SAP Cloud Connector, "Configure Subject Patterns for Principal Propagation".
package struct UserClaims: Sendable {
    private let claims: [String: JSONValue]
    /// `xs.user.attributes`, which come before claims of the same name.
    private let attributes: [String: JSONValue]
    /// It stands for an application.
    package let isTechnical: Bool

    /// - Parameters:
    ///   - payload: of the token.
    ///   - isTechnical: as the field says in which it came.
    /// - Returns: nil for what is no JSON object.
    package init?(_ payload: [UInt8], isTechnical: Bool) {
        guard let value = try? JSONLines.decode(JSONValue.self, payload), case .object(let claims) = value else {
            return nil
        }
        self.claims = claims
        if case .object(let attributes)? = claims["xs.user.attributes"] {
            self.attributes = attributes
        } else {
            attributes = [:]
        }
        let isOfApplication = claims["grant_type"]?.string == "client_credentials" && claims["user_name"] == nil
        self.isTechnical = isTechnical || isOfApplication
    }

    /// The value of a variable; nil where the token has none, or more than one.
    package subscript(_ variable: String) -> String? {
        switch variable {
        case "user_type": isTechnical ? "Technical" : "Business"
        case "name": first(isTechnical ? Self.technicalNames : Self.businessNames)
        case _ where variable.hasPrefix("cp."): text(claims[String(variable.dropFirst(3))])
        default: text(attributes[variable]) ?? text(claims[variable])
        }
    }

    /// For `${name}`, the first one that is there.
    private static let businessNames = ["user_name", "email", "mail", "user_uuid", "sub"]
    private static let technicalNames = ["client_id", "cid", "sub", "azp"]

    private func first(_ names: [String]) -> String? {
        for name in names {
            if let value = text(attributes[name]) ?? text(claims[name]) { return value }
        }
        return nil
    }

    /// An array with one element counts as that element.
    private func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text): text.isEmpty ? nil : text
        case .integer(let number): String(number)
        case .bool(let isTrue): isTrue ? "true" : "false"
        case .array(let items) where items.count == 1: text(items[0])
        default: nil
        }
    }

    /// Seconds since 1970.
    package func time(_ name: String) -> Int? {
        switch claims[name] {
        case .integer(let seconds): seconds
        case .number(let seconds): Int(exactly: seconds.rounded(.down))
        default: nil
        }
    }

    package func claim(_ name: String) -> String? { claims[name]?.string }

    /// Whose tenant it was issued for; nil where it does not say.
    package var tenant: String? {
        var extended: String?
        if case .object(let attributes)? = claims["ext_attr"] { extended = attributes["subaccountid"]?.string }
        return claim("zid") ?? claim("app_tid") ?? extended
    }
}
