internal import AccessPolicy
internal import ConfigurationEditing
internal import TextFormats

/// Turns the configuration of a Cloud Connector into files, and says what has no equivalent. What is not carried over in full is
/// not exposed: it stands in the file as a comment.
struct SCCImport {
    /// Contents by path, relative to the folder they are meant for.
    private(set) var files: [(path: String, text: String)] = []
    /// What a person has to look at, one line each.
    private(set) var notes: [String] = []

    private let documents: SCCDocuments
    private let source: String
    private let service: String

    /// - Parameters:
    ///   - source: where the documents are from, and when they were read.
    ///   - service: `host:port` of the connectivity service, if it is known.
    init(_ documents: SCCDocuments, source: String, service: String?) {
        self.documents = documents
        self.source = source
        self.service = service ?? "connectivity.example.com:443"
        if service == nil { notes.append("tunnel.service is an example: put the connectivity service's address there") }
        notes += documents.remarks.map { "not read: \($0)" }
        if !documents.trustedCertificates.isEmpty { files.append(("backend-trust.pem", documents.trustedCertificates)) }
        for pattern in documents.subjectPatterns where pattern.condition != "always true" {
            let subject = SubjectRule.text(pattern.subjectPattern ?? [:])
            notes.append(
                "subject pattern for \"\(pattern.condition ?? "")\", subject \"\(subject)\": put it under "
                    + "principal-propagation.subject-patterns"
            )
        }
        for (index, subaccount) in documents.subaccounts.enumerated() { add(subaccount, isMain: index == 0) }
        let identities = documents.subaccounts.map { "\($0.entity.subaccount) \($0.entity.locationID ?? "")" }
        if Set(identities).count < identities.count {
            notes.append(
                "a subaccount stands here more than once: give each its location-id, or leave out all but one file"
            )
        }
        if documents.subaccounts.isEmpty { notes.append("there are no subaccounts") }
    }

    private mutating func add(_ subaccount: SCCSubaccount, isMain: Bool) {
        let entity = subaccount.entity
        var own: [String] = []
        let (domains, odd) = Self.domains(subaccount.domains)
        own += odd
        var systems: [String] = []
        var seen: Set<String> = []
        for (mapping, resources) in subaccount.mappings {
            var (value, obstacles) = Self.system(mapping, resources)
            if !seen.insert("\(mapping.virtualHost):\(mapping.virtualPort.text)".lowercased()).inserted {
                obstacles.append("is mapped above already")
            }
            let lines = YAMLWriter.item(value, indent: 2)
            systems += obstacles.isEmpty ? lines : lines.map { "  # " + $0.dropFirst(2) }
            own += obstacles.map { "\(mapping.virtualHost):\(mapping.virtualPort.text): \($0)" }
        }
        notes += own.map { "\(entity.subaccount): \($0)" }
        var lines = ["Imported from \(source).", ""]
        if own.isEmpty {
            lines.append((documents.remarks.isEmpty ? "Everything" : "What was read") + " has its equivalent here.")
        } else {
            lines +=
                ["What is not carried over; such systems stand below as comments, and are not exposed:"]
                + own.map { "- \($0)" }
        }
        lines += documents.remarks.map { "Not read: \($0)." }
        // Whatever a name holds, it stays within its comment.
        var text = lines.map { $0.isEmpty ? "#" : "# \(LogText.escaped($0.utf8))" } + [""]
        text += head(entity, isMain: isMain) + [""]
        if !domains.isEmpty { text += YAMLWriter.entry("cookie-domains", .list(domains), indent: 0) + [""] }
        let hasSome = systems.contains { !$0.hasPrefix("  #") }
        text +=
            [hasSome ? "systems:" : "systems: []" + (systems.isEmpty ? "" : "   # without [] once there is one")]
            + systems
        let name = isMain ? "connector.conf" : "connector.d/\(Self.fileName(entity)).conf"
        files.append((name, text.joined(separator: "\n") + "\n"))
    }

    /// - Returns: also what is said of those that cannot be carried over.
    private static func domains(_ all: [SCCDomain]) -> (items: [YAMLValue], odd: [String]) {
        var (items, odd): ([YAMLValue], [String]) = ([], [])
        for domain in all {
            // With a dot in front they mean the same (RFC 6265 section 5.2.3).
            let (inner, outer) = (domain.internalDomain.drop { $0 == "." }, domain.virtualDomain.drop { $0 == "." })
            if HostPort.isHostName(String(inner)), HostPort.isHostName(String(outer)) {
                items.append(
                    .mapping([.init("internal", .text(String(inner))), .init("virtual", .text(String(outer)))])
                )
            } else {
                odd.append("cookie domain \(domain.internalDomain) -> \(domain.virtualDomain): is not a domain")
            }
        }
        return (items, odd)
    }

    private func head(_ entity: SCCSubaccountEntity, isMain: Bool) -> [String] {
        let folder = "/var/lib/connector/tls" + (isMain ? "" : "/\(Self.fileName(entity))")
        var entries: [YAMLValue.Entry] = [
            .init("subaccount", .text(entity.subaccount)), .init("region-host", .text(entity.regionHost)),
            .init("location-id", .text(entity.locationID ?? "")),
        ]
        let description = entity.description ?? entity.displayName ?? ""
        if !description.isEmpty { entries.append(.init("description", .text(description))) }
        var tunnel: [YAMLValue.Entry] = [
            .init("service", .text(service)), .init("certificate", .text("\(folder)/connector.pem")),
            .init("private-key", .text("\(folder)/connector.key")),
            .init("trusted-ca", .text("\(folder)/service-ca.pem")),
        ]
        if let host = documents.proxy.host, let port = documents.proxy.port?.text {
            tunnel.append(.init("http-proxy", proxy(host, port)))
        }
        entries.append(.init("tunnel", .mapping(tunnel)))
        var trust: [YAMLValue.Entry] = []
        if !documents.trustedCertificates.isEmpty {
            trust.append(.init("certificates", .list([.text("/etc/connector/backend-trust.pem")])))
        }
        if documents.trustStore.trustAllBackends { trust.append(.init("trust-all", .word("true"))) }
        if !trust.isEmpty { entries.append(.init("backend-trust", .mapping(trust))) }
        return entries.flatMap { YAMLWriter.entry($0.key, $0.value, indent: 0) }
    }

    /// The password is not told; it belongs in a file.
    private func proxy(_ host: String, _ port: String) -> YAMLValue {
        let address = "\(HostPort.bracketed(host)):\(port)"
        guard let user = documents.proxy.user, !user.isEmpty else { return .text(address) }
        return .mapping([
            .init("address", .text(address)), .init("user", .text(user)),
            .init("password-file", .text("credential:connector_proxy-password")),
        ])
    }

    // MARK: Systems

    /// - Returns: the system as the file has it, and why it must not be exposed so.
    private static func system(_ mapping: SCCMapping, _ resources: [SCCResource]) -> (YAMLValue, obstacles: [String]) {
        var obstacles = [(mapping.virtualHost, mapping.virtualPort), (mapping.localHost, mapping.localPort)].compactMap
        {
            addressFault($0, $1.text)
        }
        let known = SystemMapping.InternalProtocol(rawValue: mapping.protocol)
        if known == nil { obstacles.append("\(mapping.protocol) is not supported yet") }
        let mode = mapping.authenticationMode ?? "NONE"
        if let known = UserAuthentication.Mode(rawValue: mode) {
            if known == .kerberos {
                obstacles.append(
                    "principal propagation (KERBEROS) needs the sections kerberos and principal-propagation; with them, add "
                        + "authentication-mode: KERBEROS"
                )
            } else if known.takesUsers {
                obstacles.append(
                    "principal propagation (\(mode)) needs the sections principal-propagation and system-certificate; with them, add "
                        + "authentication-mode: \(mode)"
                )
            }
        } else {
            obstacles.append(
                "principal propagation (\(mode)) is not supported yet; without it, users would be anonymous"
            )
        }
        var entries: [YAMLValue.Entry] = [
            .init("virtual-host", .text("\(HostPort.bracketed(mapping.virtualHost)):\(mapping.virtualPort.text)")),
            .init("internal-host", .text("\(HostPort.bracketed(mapping.localHost)):\(mapping.localPort.text)")),
            .init("protocol", .text(mapping.protocol)),
        ]
        if let type = mapping.backendType, type != "nonSAPsys", SystemMapping.BackEndType(rawValue: type) != nil {
            entries.append(.init("back-end-type", .text(type)))
        }
        if mode == UserAuthentication.Mode.noneRestricted.rawValue {
            entries.append(.init("authentication-mode", .text(mode)))
        }
        if mapping.hostInHeader?.uppercased() == "INTERNAL" {
            entries.append(.init("host-in-header", .text("internal")))
        }
        if let description = mapping.description, !description.isEmpty {
            entries.append(.init("description", .text(description)))
        }
        if known?.isHTTP ?? true, !resources.isEmpty {
            var items: [YAMLValue] = []
            for resource in resources {
                if known != nil, let problem = Resource.pathError(resource.id) {
                    obstacles.append("resource \(resource.id): \(problem)")
                }
                items.append(value(resource))
            }
            entries.append(.init("resources", .list(items)))
        }
        return (.mapping(entries), obstacles)
    }

    private static func addressFault(_ host: String, _ port: String) -> String? {
        guard HostPort.isHostName(host) || host.contains(":") else { return "\(host) is not a host name" }
        guard let number = Int(port), (1...65535).contains(number) else { return "\(port) is not a port" }
        return nil
    }

    private static func value(_ resource: SCCResource) -> YAMLValue {
        var entries: [YAMLValue.Entry] = [
            .init("path", .text(resource.id)),
            .init("access", .text(resource.exactMatchOnly.isSet ? "path-only" : "path-and-sub-paths")),
        ]
        if !resource.enabled.isSet { entries.append(.init("active", .word("false"))) }
        if resource.websocketUpgradeAllowed?.isSet ?? false { entries.append(.init("upgrade-allowed", .word("true"))) }
        if let description = resource.description, !description.isEmpty {
            entries.append(.init("description", .text(description)))
        }
        return .mapping(entries)
    }

    /// A subaccount and location as the name of a file: nothing in it leads anywhere else.
    private static func fileName(_ entity: SCCSubaccountEntity) -> String {
        let name = entity.subaccount + (entity.locationID.map { $0.isEmpty ? "" : "-\($0)" } ?? "")
        return String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "-" ? $0 : "_" }.prefix(100))
    }
}
