package import JSON
internal import TextFormats

/// What the destination service keeps, one kind in each folder.
package enum ConfigurationKind: String, Sendable, CaseIterable {
    case destinations, fragments, certificates

    /// The property that names one.
    package var nameKey: String { self == .fragments ? "FragmentName" : "Name" }
}

/// Why a configuration is refused, for who wrote it.
package struct DestinationError: Error, Sendable, Equatable, CustomStringConvertible {
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
    /// Properties of one; bytes of a name, of one value.
    package static let maxProperties = 200
    package static let maxNameBytes = 200
    package static let maxValueBytes = 1 << 19
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

    package init(_ kind: ConfigurationKind, _ properties: [String: String]) throws(DestinationError) {
        self.kind = kind
        self.properties = properties
        guard let name = properties[kind.nameKey], !name.isEmpty else {
            throw DestinationError("Missing or empty mandatory property: \(kind.nameKey)")
        }
        try Self.check(name, kind)
        guard properties.count <= Self.maxProperties else {
            throw DestinationError("More than \(Self.maxProperties) properties")
        }
        for (key, value) in properties {
            guard !key.isEmpty, key.utf8.count <= Self.maxNameBytes, !key.hasPrefix("$") else {
                throw DestinationError("The name of a property must have 1 to 200 characters and not begin with $")
            }
            guard value.utf8.count <= Self.maxValueBytes else {
                throw DestinationError("Property \(key) is longer than \(Self.maxValueBytes) bytes")
            }
            guard !value.utf8.contains(0), !key.utf8.contains(0) else {
                throw DestinationError("Property \(LogText.escaped(key.utf8)) holds a NUL character")
            }
        }
        switch kind {
        case .destinations: try checkDestination()
        case .fragments:
            guard properties["Name"] == nil, properties["Type"] == nil else {
                throw DestinationError("A fragment must not contain the properties \"Name\" or \"Type\"")
            }
        case .certificates: try checkCertificate()
        }
    }

    /// Of an object whose values must all be texts.
    package init(_ kind: ConfigurationKind, _ value: JSONValue) throws(DestinationError) {
        guard case .object(let members) = value else {
            throw DestinationError("A JSON object is needed, not \(value.kind)")
        }
        var properties: [String: String] = [:]
        for (key, value) in members {
            if kind == .certificates, key == "Type", value == .null { continue }
            guard case .string(let text) = value else {
                throw DestinationError("The value of \(key) must be a text, not \(value.kind)")
            }
            properties[key] = text
        }
        try self.init(kind, properties)
    }

    /// Names of destinations and fragments: letters, digits, underscores and hyphens (main-properties-d24843d); of
    /// certificates, whose names are those of files, anything that can be seen.
    private static func check(_ name: String, _ kind: ConfigurationKind) throws(DestinationError) {
        guard name.utf8.count <= maxNameBytes else {
            throw DestinationError("The name is longer than \(maxNameBytes) characters")
        }
        let isGood =
            kind == .certificates
            ? name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && $0 != "/" }
            : name.utf8.allSatisfy { isNameByte($0) }
        guard isGood else {
            throw DestinationError("The name may have letters, digits, underscores and hyphens only")
        }
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private func checkDestination() throws(DestinationError) {
        guard let type = properties["Type"] else { throw DestinationError("Missing mandatory property: Type") }
        try Self.check(type, "Type", Self.types)
        if type == "HTTP", let url = properties["URL"], let scheme = url.firstRange(of: "://"),
            url[scheme.upperBound...].prefix(while: { $0 != "/" && $0 != "?" }).contains("@")
        {
            throw DestinationError("URL must not hold a user or password; use the properties User and Password")
        }
        if let location = properties["CloudConnectorLocationId"],
            location.utf8.count > 128 || location.utf8.contains(where: { $0 < 0x20 || $0 > 0x7e })
        {
            throw DestinationError("CloudConnectorLocationId may have 128 visible characters of ASCII")
        }
        if let proxyType = properties["ProxyType"] { try Self.check(proxyType, "ProxyType", Self.proxyTypes) }
        if let authentication = properties["Authentication"] {
            try Self.check(authentication, "Authentication", Self.authentications)
        }
    }

    private static func check(_ value: String, _ key: String, _ allowed: [String]) throws(DestinationError) {
        guard !allowed.contains(value) else { return }
        throw DestinationError("\(key) must be one of \(allowed.joined(separator: ", "))")
    }

    private func checkCertificate() throws(DestinationError) {
        guard let content = properties["Content"] else {
            throw DestinationError("Missing mandatory property: Content")
        }
        guard Base64.decode(content) != nil else { throw DestinationError("Content must be Base64") }
        guard properties.keys.allSatisfy({ ["Name", "Content", "Type"].contains($0) }) else {
            throw DestinationError("A certificate has Name, Content and Type only")
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
