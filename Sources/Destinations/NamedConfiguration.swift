package import ControlProtocol
internal import TunnelCore

/// What the destination service keeps, one kind in each folder.
package enum ConfigurationKind: String, Sendable, CaseIterable {
    case destinations, fragments, certificates

    /// The property that names one.
    package var nameKey: String { self == .fragments ? "FragmentName" : "Name" }
}

/// Why a configuration is refused, for who wrote it.
package struct ConfigurationFault: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// A key with values, to find configurations by.
package struct Label: Codable, Sendable, Equatable {
    package var key: String
    package var values: [String]

    package init(key: String, values: [String]) {
        self.key = key
        self.values = values
    }
}

/// A destination, a fragment or a certificate: properties whose values are all texts, as SAP's service has them.
package struct NamedConfiguration: Sendable, Equatable {
    /// Properties of one; octets of a name, of one value.
    package static let maxProperties = 200
    package static let maxNameOctets = 200
    package static let maxValueOctets = 1 << 19
    package static let types = ["HTTP", "RFC", "LDAP", "TCP", "MAIL"]
    package static let proxyTypes = ["Internet", "OnPremise", "PrivateLink"]
    package static let authentications = [
        "NoAuthentication", "BasicAuthentication", "PrincipalPropagation", "ClientCertificateAuthentication",
        "OAuth2ClientCredentials", "OAuth2SAMLBearerAssertion", "OAuth2UserTokenExchange", "OAuth2JWTBearer",
        "OAuth2Password", "SAMLAssertion", "OAuth2RefreshToken", "OAuth2AuthorizationCode",
        "OAuth2TechnicalUserPropagation", "OAuth2TokenExchange", "AppToAppSSO", "SAPAssertionSSO",
        "OAuth2ServerCertificateAuthentication", "ServerCertificateAuthentication",
    ]

    package let kind: ConfigurationKind
    package let properties: [String: String]

    package var name: String { properties[kind.nameKey] ?? "" }
    package subscript(_ key: String) -> String? { properties[key] }

    package init(_ kind: ConfigurationKind, _ properties: [String: String]) throws(ConfigurationFault) {
        self.kind = kind
        self.properties = properties
        guard let name = properties[kind.nameKey], !name.isEmpty else {
            throw ConfigurationFault("Missing or empty mandatory property: \(kind.nameKey)")
        }
        try Self.check(name, kind)
        guard properties.count <= Self.maxProperties else {
            throw ConfigurationFault("More than \(Self.maxProperties) properties")
        }
        for (key, value) in properties {
            guard !key.isEmpty, key.utf8.count <= Self.maxNameOctets, !key.hasPrefix("$") else {
                throw ConfigurationFault("The name of a property must have 1 to 200 characters and not begin with $")
            }
            guard value.utf8.count <= Self.maxValueOctets else {
                throw ConfigurationFault("Property \(key) is longer than \(Self.maxValueOctets) octets")
            }
            guard !value.utf8.contains(0), !key.utf8.contains(0) else {
                throw ConfigurationFault("Property \(LogText.escaped(key.utf8)) holds a NUL character")
            }
        }
        switch kind {
        case .destinations: try checkDestination()
        case .fragments:
            guard properties["Name"] == nil, properties["Type"] == nil else {
                throw ConfigurationFault("A fragment must not contain the properties \"Name\" or \"Type\"")
            }
        case .certificates: try checkCertificate()
        }
    }

    /// Of an object whose values must all be texts.
    package init(_ kind: ConfigurationKind, _ value: JSONValue) throws(ConfigurationFault) {
        guard case .object(let members) = value else {
            throw ConfigurationFault("A JSON object is needed, not \(value.kind)")
        }
        var properties: [String: String] = [:]
        for (key, value) in members {
            if kind == .certificates, key == "Type", value == .null { continue }
            guard case .string(let text) = value else {
                throw ConfigurationFault("The value of \(key) must be a text, not \(value.kind)")
            }
            properties[key] = text
        }
        try self.init(kind, properties)
    }

    /// Names of destinations and fragments: letters, digits, underscores and hyphens (main-properties-d24843d); of
    /// certificates, whose names are those of files, anything that can be seen.
    private static func check(_ name: String, _ kind: ConfigurationKind) throws(ConfigurationFault) {
        guard name.utf8.count <= maxNameOctets else {
            throw ConfigurationFault("The name is longer than \(maxNameOctets) characters")
        }
        let isGood =
            kind == .certificates
            ? name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && $0 != "/" }
            : name.utf8.allSatisfy { isNameOctet($0) }
        guard isGood else {
            throw ConfigurationFault("The name may have letters, digits, underscores and hyphens only")
        }
    }

    static func isNameOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private func checkDestination() throws(ConfigurationFault) {
        guard let type = properties["Type"] else { throw ConfigurationFault("Missing mandatory property: Type") }
        try Self.check(type, "Type", Self.types)
        if type == "HTTP", let url = properties["URL"], let scheme = url.firstRange(of: "://"),
            url[scheme.upperBound...].prefix(while: { $0 != "/" && $0 != "?" }).contains("@")
        {
            throw ConfigurationFault("URL must not hold a user or password; use the properties User and Password")
        }
        if let location = properties["CloudConnectorLocationId"],
            location.utf8.count > 128 || location.utf8.contains(where: { $0 < 0x20 || $0 > 0x7e })
        {
            throw ConfigurationFault("CloudConnectorLocationId may have 128 visible characters of ASCII")
        }
        if let proxyType = properties["ProxyType"] { try Self.check(proxyType, "ProxyType", Self.proxyTypes) }
        if let authentication = properties["Authentication"] {
            try Self.check(authentication, "Authentication", Self.authentications)
        }
    }

    private static func check(_ value: String, _ key: String, _ allowed: [String]) throws(ConfigurationFault) {
        guard !allowed.contains(value) else { return }
        throw ConfigurationFault("\(key) must be one of \(allowed.joined(separator: ", "))")
    }

    private func checkCertificate() throws(ConfigurationFault) {
        guard let content = properties["Content"] else {
            throw ConfigurationFault("Missing mandatory property: Content")
        }
        guard Base64.decode(content) != nil else { throw ConfigurationFault("Content must be Base64") }
        guard properties.keys.allSatisfy({ ["Name", "Content", "Type"].contains($0) }) else {
            throw ConfigurationFault("A certificate has Name, Content and Type only")
        }
    }

    // MARK: Secrets

    private static let secretKeys: Set<String> = [
        "Password", "clientSecret", "tokenServicePassword", "KeyStorePassword", "TrustStorePassword", "ldap.password",
        "mail.password", "jco.client.passwd", "tokenService.KeyStorePassword", "SystemUser",
        "tokenService.TrustStorePassword", "scnPassword",
    ]

    /// Whether others should not read this property.
    package static func isSecret(_ key: String) -> Bool {
        if secretKeys.contains(key) { return true }
        let lower = key.lowercased()
        return secretEnds.contains { lower.hasSuffix($0) } || lower.hasPrefix("url.headers.auth")
    }

    private static let secretEnds = [
        "password", "passwd", "secret", "apikey", "api_key", "api-key", "token", "credentials", ".cookie",
    ]

    /// Of certificates, those that hold more than certificates: keystores, and PEM with a private key.
    package var hasSecrets: Bool {
        guard kind == .certificates else { return properties.keys.contains(where: Self.isSecret) }
        let text = String(decoding: Base64.decode(properties["Content"] ?? "") ?? [], as: UTF8.self)
        return !text.contains("-----BEGIN CERTIFICATE-----") || text.contains("PRIVATE KEY-----")
    }

    /// The same without secrets.
    package var withoutSecrets: [String: String] { properties.filter { !Self.isSecret($0.key) } }

    /// Changes with every change of the content (RFC 9110 section 8.8.3).
    package var entityTag: String { EntityTag.of(JSONLines.encode(properties)) }
}
