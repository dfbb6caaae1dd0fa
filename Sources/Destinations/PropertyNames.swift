internal import TextFormats

/// The properties of destinations that SAP documents, to tell an own one from a slip of the pen.
///
/// Source: SAP BTP Connectivity, "Destination Properties" and the pages of the authentication types.
enum PropertyNames {
    static let all: Set<String> = [
        "Name", "Type", "Description", "URL", "ProxyType", "Authentication", "CloudConnectorLocationId", "User",
        "Password", "clientId", "clientSecret", "tokenServiceURL", "tokenServiceURLType", "tokenServiceUser",
        "tokenServicePassword", "scope", "audience", "authnContextClassRef", "nameIdFormat", "companyId", "apiKey",
        "SystemUser", "assertionIssuer", "userIdSource", "userAttributeName", "KeyStoreLocation", "KeyStorePassword",
        "TrustStoreLocation", "TrustStorePassword", "TrustAll", "HostnameVerifier", "forwardAuthToken", "sap-client",
        "sap-language", "sap-sysid", "sap-platform", "saml2_audience", "SAMLAttributes", "authTokenLifetime",
        "skipSSOTokenGenerationWhenNoUser", "skipUserAttributesPrefixInSAMLAttributes", "TokenExchange",
        "WebIDEEnabled", "WebIDEUsage", "WebIDESystem", "WebIDEAdditionalData", "scnUser", "scnPassword", "tenant",
        "allowedRFCs", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "codeVerifier",
        "redirectUri", "Address", "clientKey", "tokenBodyType", "certificateSubject", "useClientCredentials",
        "cacheEnabled", "timeout", "product.name", "MappingUserAttributes",
    ]

    /// Beginnings of those that have further names.
    static let families = [
        "URL.", "tokenService.", "tokenServiceURL.", "x_user_token.", "jco.", "ldap.", "mail.", "HTML5.", "sap.",
        "esr.",
        "user.", "SAMLAttributes.", "chain.", "tokenExchange.", "vcap.", "TLS.", "Endpoints.",
    ]

    /// - Returns: nil for a name that is documented.
    static func warning(_ name: String) -> String? {
        guard !all.contains(name), !families.contains(where: { name.hasPrefix($0) }) else { return nil }
        if let family = families.first(where: { name.lowercased().hasPrefix($0.lowercased()) }) {
            return
                "\"\(name)\" is not a property that SAP documents; did you mean \"\(family)\(name.dropFirst(family.count))\"?"
        }
        let nearest = NearestName.find(name, among: all.sorted()).map { "; did you mean \"\($0)\"?" }
        let own = "; programs get it as it is"
        return "\"\(LogText.escaped(name.utf8))\" is not a property that SAP documents\(nearest ?? own)"
    }
}

extension NamedConfiguration {
    /// What somebody probably did not mean, each in a line; a destination with it is stored all the same, as SAP's service does.
    package var warnings: [String] {
        guard kind == .destinations, self["Type"] == "HTTP" else { return [] }
        var warnings = properties.keys.sorted().compactMap(PropertyNames.warning)
        switch self["URL"] {
        case nil: warnings.append("URL is missing: an http or https URL such as http://internalhost:3333")
        case let url? where WebURL(url) == nil:
            warnings.append("URL is not an http or https URL such as http://internalhost:3333")
        case let url? where self["ProxyType"] == "OnPremise" && WebURL(url)?.isTLS == true:
            warnings.append(
                "URL begins with https; through the Cloud Connector it is http, whatever the internal host speaks"
            )
        default: break
        }
        if self["ProxyType"] == nil { warnings.append("ProxyType is missing: OnPremise or Internet") }
        return warnings
    }
}
