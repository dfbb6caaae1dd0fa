internal import AccessPolicy
internal import ConfigurationEditing
internal import HostSystem
internal import TextFormats

/// `_links` of an entity: where it is found (HAL).
struct APILink: Encodable { var href: String }

/// A system mapping on the wire (SAP Help, "System Mappings"). Types are uneven, as clients expect them.
struct MappingDocument: Encodable {
    var virtualHost = ""
    var virtualPort = ""
    var localHost = ""
    var localPort = ""
    /// Milliseconds since 1970; 0 where the file does not say it.
    var creationDate = "0"
    var `protocol` = ""
    var backendType = "nonSAPsys"
    var hostInHeader = "VIRTUAL"
    var totalResourcesCount = 0
    var enabledResourcesCount = 0
    var authenticationMode = "NONE"
    var allowedClients: [String] = []
    var blacklistedUsers: [String] = []
    var description: String?
    var _links: [String: APILink] = [:]

    /// - Parameter value: the mapping as its file has it.
    init(_ value: YAMLValue) {
        (virtualHost, virtualPort) = Self.split(value["virtual-host"]?.scalar ?? "", "")
        `protocol` = (value["protocol"]?.scalar ?? "").uppercased()
        (localHost, localPort) = Self.split(value["internal-host"]?.scalar ?? "", `protocol` == "HTTPS" ? "443" : "80")
        creationDate = Self.created(value)
        if let type = value["back-end-type"]?.scalar { backendType = type }
        if let host = value["host-in-header"]?.scalar { hostInHeader = host.uppercased() }
        if let mode = value["authentication-mode"]?.scalar { authenticationMode = mode.uppercased() }
        description = value["description"]?.scalar
        let resources = value["resources"]?.items.map { ResourceDocument($0) } ?? []
        totalResourcesCount = resources.count
        enabledResourcesCount = resources.count(where: \.enabled)
    }

    static func created(_ value: YAMLValue) -> String {
        value["created"]?.scalar.flatMap { TimestampText.milliseconds($0) }.map { String($0) } ?? "0"
    }

    /// The port may be a range.
    private static func split(_ text: String, _ usualPort: String) -> (host: String, port: String) {
        guard let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") else { return (text, usualPort) }
        let host = text[..<colon]
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        return (String(bare), String(text[text.index(after: colon)...]))
    }

    /// The keys of a mapping that a request's body asks for. Those that say nothing are there without a value.
    static func changes(_ body: inout APIBody) throws(APIFailure) -> [AdministrationCommand.Change] {
        let virtual = (try body.required("virtualHost"), try body.required("virtualPort"))
        let local = (try body.required("localHost"), try body.required("localPort"))
        var changes: [AdministrationCommand.Change] = [
            .init("virtual-host", .text("\(HostPort.bracketed(virtual.0)):\(virtual.1)")),
            .init("internal-host", .text("\(HostPort.bracketed(local.0)):\(local.1)")),
            .init("protocol", .text(try body.required("protocol"))),
            .init("back-end-type", (try body.text("backendType")).flatMap { $0 == "nonSAPsys" ? nil : .text($0) }),
        ]
        let host = try body.text("hostInHeader") ?? "VIRTUAL"
        changes.append(.init("host-in-header", host.uppercased() == "VIRTUAL" ? nil : .text(host.lowercased())))
        changes.append(.init("description", (try body.text("description")).map { .text($0) }))
        let mode = try body.text("authenticationMode") ?? "NONE"
        guard UserAuthentication.Mode(rawValue: mode) != nil else {
            throw .invalid("authenticationMode \(LogText.escaped(mode.utf8)) is not supported by this connector yet")
        }
        changes.append(.init("authentication-mode", mode == "NONE" ? nil : .text(mode)))
        for name in ["sid", "sapRouter", "sncPartnerName", "allowedClients", "blacklistedUsers"] {
            try body.refuse(name)
        }
        try body.finish()
        return changes
    }
}

/// A resource of a system mapping on the wire (SAP Help, "System Mapping Resources").
struct ResourceDocument: Encodable {
    var id: String
    var enabled: Bool
    var exactMatchOnly: Bool
    var websocketUpgradeAllowed: Bool
    var creationDate: String
    var description: String?
    var _links: [String: APILink] = [:]

    init(_ value: YAMLValue) {
        id = value["path"]?.scalar ?? ""
        enabled = value.flag("active", true)
        exactMatchOnly = value["access"]?.scalar?.lowercased() == "path-only"
        websocketUpgradeAllowed = value.flag("upgrade-allowed", false)
        creationDate = MappingDocument.created(value)
        description = value["description"]?.scalar
    }

    /// The keys of a resource that a request's body asks for, its path excepted.
    static func changes(_ body: inout APIBody) throws(APIFailure) -> [AdministrationCommand.Change] {
        let isEnabled = try body.flag("enabled") ?? false
        let isExact = try body.flag("exactMatchOnly") ?? false
        let isUpgradeAllowed = try body.flag("websocketUpgradeAllowed") ?? false
        let description = try body.text("description")
        try body.finish()
        return [
            .init("access", .text(isExact ? "path-only" : "path-and-sub-paths")),
            .init("active", isEnabled ? nil : .word("false")),
            .init("upgrade-allowed", isUpgradeAllowed ? .word("true") : nil),
            .init("description", description.map { .text($0) }),
        ]
    }

    // MARK: Names in paths

    /// A resource's name in a URL: `+`, then `-`, then `/` are replaced by `+2B`, `+2D` and `-`.
    static func encode(_ id: String) -> String {
        id.replacing("+", with: "+2B").replacing("-", with: "+2D").replacing("/", with: "-")
    }

    /// `encode` as it stands in a URL, with everything escaped that may not; a `+` may.
    static func segment(_ id: String) -> String { PercentText.encode(encode(id)).replacing("%2B", with: "+") }

    /// - Returns: nil for what `encode` never makes.
    static func decode(_ text: String) -> String? {
        var result = ""
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "-": result.append("/")
            case "/": return nil
            case "+":
                switch rest.prefix(2) {
                case "2B": result.append("+")
                case "2D": result.append("-")
                default: return nil
                }
                rest = rest.dropFirst(2)
            default: result.append(character)
            }
        }
        return result
    }
}
