internal import AccessPolicy
internal import CloudConnector
internal import ConfigurationReading
internal import HostSystem
internal import NIOCore
internal import TextFormats
internal import YAMLDocument

/// Reads the list `systems` and looks for what an administrator did not mean.
struct SystemsReader {
    let file: String
    let findings: Findings
    private(set) var systems: [SystemMapping] = []
    private(set) var places: [ConnectorConfiguration.SystemPlace] = []
    private var seen: [String: Int] = [:]

    init(file: String, findings: Findings) {
        self.file = file
        self.findings = findings
    }

    private static let unsupportedProtocols = ["RFC", "RFCS", "RFCWS", "LDAP", "LDAPS"]

    mutating func read(_ nodes: [YAMLNode], _ top: Section) {
        systems.reserveCapacity(nodes.count)
        seen.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() { readSystem(node, "systems[\(index)]") }
        if nodes.isEmpty {
            findings.warning(top.place("systems"), "systems", "is empty: nothing is exposed")
        }
    }

    private mutating func readSystem(_ node: YAMLNode, _ key: String) {
        var section = Section(node, key, findings)
        let virtual = section.required("virtual-host", "host:port by which cloud programs call the system")
            .flatMap { _ in section.portRange("virtual-host") }
        let hasProtocol = section.required("protocol", "HTTP or HTTPS") != nil
        let proto =
            hasProtocol
            ? section.choice(
                "protocol",
                SystemMapping.InternalProtocol.self,
                unsupported: Self.unsupportedProtocols
            ) : nil
        let inner = section.required("internal-host", "host:port of the system inside")
            .flatMap { _ in section.portRange("internal-host", fallbackPort: proto.flatMap(Self.usualPort)) }
        let type = section.choice("back-end-type", SystemMapping.BackEndType.self) ?? .nonSAPsys
        let host = section.choice("host-in-header", SystemMapping.HostInHeader.self) ?? .virtual
        let forwarded = section.choice("forwarded-headers", SystemMapping.ForwardedHeaders.self) ?? .drop
        let responseTimeout = section.value("response-timeout").map { _ in
            section.duration("response-timeout", .seconds(1), atLeast: .seconds(1)).nanoseconds / 1_000_000_000
        }
        let authentication = readAuthentication(&section, proto)
        let clientCertificate = readClientCertificate(&section, proto)
        let description = section.string("description") ?? ""
        section.readCreated()
        var reader = ResourcesReader(key: key, findings: findings)
        reader.read(section.list("resources"))
        if let preset = section.choice("resource-preset", ResourcePreset.self) {
            reader.add(preset, section.place("resource-preset"))
        }
        let learnsUntil = readAccess(&section, proto)
        if learnsUntil != nil { reader.learn(section.place("access")) }
        section.finish()
        guard let virtual, let inner, let proto else { return }
        checkNames(section, virtual.host, inner.host)
        checkExposure(section, proto, reader)
        guard checkPorts(section, proto, virtual.count, inner.count), isNew(section, virtual) else { return }
        systems.append(
            SystemMapping(
                virtualHost: virtual.host,
                virtualPort: UInt16(virtual.first),
                internalHost: inner.host,
                internalPort: UInt16(inner.first),
                protocol: proto,
                backEndType: type,
                hostInHeader: host,
                forwardedHeaders: forwarded,
                responseTimeout: responseTimeout.map(Int.init),
                authentication: authentication,
                clientCertificate: clientCertificate,
                description: description,
                portCount: virtual.count,
                learnsUntil: learnsUntil,
                resources: reader.resources
            )
        )
        places.append(
            ConnectorConfiguration.SystemPlace(file: file, line: node.line, resourceLines: reader.lines)
        )
    }

    /// Learn mode at most.
    private static let day = 86400

    /// `access: learn until TIME`.
    ///
    /// - Returns: seconds since 1970, while that time is to come.
    private func readAccess(_ section: inout Section, _ proto: SystemMapping.InternalProtocol?) -> Int? {
        guard let text = section.string("access") else { return nil }
        let (place, path, mark) = (section.place("access"), section.path("access"), "learn until ")
        guard text.hasPrefix(mark), let until = TimestampText.milliseconds(String(text.dropFirst(mark.count))) else {
            findings.error(
                place,
                path,
                "must be \"learn until \" and a time such as 2026-11-27T18:51:41Z, not \"\(text)\""
            )
            return nil
        }
        guard proto?.isHTTP ?? true else {
            findings.error(place, path, "only HTTP and HTTPS systems have paths to learn")
            return nil
        }
        let left = until / 1000 - WallClock.seconds()
        guard left <= Self.day else {
            findings.error(place, path, "a system learns for a day at most, and this is \(left / 3600) hours ahead")
            return nil
        }
        if left <= 0 {
            findings.warning(place, path, "is over: see connectord learn propose, then remove it")
            return nil
        }
        findings.warning(place, path, "EVERYTHING below this host passes until then, and is recorded")
        return until / 1000
    }

    /// The port of a URL that names none.
    private static func usualPort(_ proto: SystemMapping.InternalProtocol) -> Int? {
        switch proto {
        case .http: 80
        case .https: 443
        case .tcp, .tcps: nil
        }
    }

    /// - Returns: whether nothing has this virtual host and one of these ports yet.
    private mutating func isNew(_ section: Section, _ virtual: Section.PortRange) -> Bool {
        let place = section.place("virtual-host")
        for port in virtual.first..<(virtual.first + virtual.count) {
            let address = "\(virtual.host.lowercased()):\(port)"
            if let first = seen[address] {
                findings.error(
                    place,
                    section.path("virtual-host"),
                    "\(address) is already mapped in line \(first); a virtual host and port stand for one system"
                )
                return false
            }
            seen[address] = place.line
        }
        return true
    }

    private func checkPorts(
        _ section: Section,
        _ proto: SystemMapping.InternalProtocol,
        _ virtual: Int,
        _ inner: Int
    ) -> Bool {
        guard virtual > 1 || inner > 1 else { return true }
        if proto.isHTTP {
            findings.error(
                section.place("virtual-host"),
                section.path("virtual-host"),
                "a range of ports is for TCP and TCPS only"
            )
            return false
        }
        if virtual != inner {
            findings.error(
                section.place("internal-host"),
                section.path("internal-host"),
                "has \(inner) ports, and virtual-host has \(virtual): each virtual port needs its internal one"
            )
            return false
        }
        if virtual > SystemMapping.maxPorts {
            findings.error(
                section.place("virtual-host"),
                section.path("virtual-host"),
                "has more than \(SystemMapping.maxPorts) ports"
            )
            return false
        }
        return true
    }

    private func checkNames(_ section: Section, _ virtual: String, _ inner: String) {
        let place = section.place("virtual-host")
        if !HostPort.isHostName(virtual) {
            findings.error(
                place,
                section.path("virtual-host"),
                "\"\(virtual)\" is not a host name; letters, digits, \"-\" and \".\" make one"
            )
        } else if virtual.utf8.contains(UInt8(ascii: "_")) {
            findings.warning(
                place,
                section.path("virtual-host"),
                "an underscore in a virtual host makes requests fail with 400 Bad Request; leave it out"
            )
        }
        if !HostPort.isHostName(inner), !inner.utf8.contains(UInt8(ascii: ":")) {
            findings.error(
                section.place("internal-host"),
                section.path("internal-host"),
                "\"\(inner)\" is not a host name or an address"
            )
        }
    }

    private func checkExposure(_ section: Section, _ proto: SystemMapping.InternalProtocol, _ reader: ResourcesReader) {
        switch proto {
        case .http, .https:
            if !reader.hadErrors, !reader.resources.contains(where: { $0.isActive }) {
                findings.warning(
                    section.node,
                    section.path("resources"),
                    reader.resources.isEmpty
                        ? "there are none, so every request to this system is denied"
                        : "all are suspended, so every request to this system is denied"
                )
            }
        case .tcp, .tcps:
            findings.warning(
                section.place("protocol"),
                section.path("protocol"),
                "TCP connections can pose a security risk by permitting unmonitored traffic; ensure that only trustworthy "
                    + "applications have access"
            )
            if !reader.resources.isEmpty {
                findings.error(
                    section.place("resources"),
                    section.path("resources"),
                    "\(proto.rawValue) has no paths; exposing the system exposes all of it"
                )
            }
        }
    }
}

extension Section {
    /// When a mapping or resource was made, which clients of the configuration API are told; nothing here depends on it.
    fileprivate mutating func readCreated() {
        guard let text = string("created"), TimestampText.milliseconds(text) == nil else { return }
        findings.error(
            place("created"),
            path("created"),
            "must be a time such as 2026-11-27T18:51:41Z, not \"\(text)\""
        )
    }
}

/// Reads the resources of one system.
struct ResourcesReader {
    let key: String
    let findings: Findings
    private(set) var resources: [Resource] = []
    private(set) var lines: [Int] = []
    private(set) var hadErrors = false
    private var places: [YAMLNode] = []

    init(key: String, findings: Findings) {
        self.key = key
        self.findings = findings
    }

    mutating func read(_ nodes: [YAMLNode]) {
        for (index, node) in nodes.enumerated() { readResource(node, "\(key).resources[\(index)]") }
        if resources.count > 1 { checkOverlaps() }
    }

    /// Adds what `preset` has and the file has not.
    mutating func add(_ preset: ResourcePreset, _ place: YAMLNode) {
        for resource in preset.resources where !resources.contains(where: { $0.path == resource.path }) {
            resources.append(resource)
            lines.append(place.line)
            places.append(place)
        }
    }

    /// Lets everything pass.
    mutating func learn(_ place: YAMLNode) {
        resources.append(SystemMapping.learning)
        lines.append(place.line)
        places.append(place)
    }

    private mutating func readResource(_ node: YAMLNode, _ key: String) {
        var section = Section(node, key, findings)
        let path = section.required("path", "the path that is exposed, such as /hello")
        let hasAccess = section.required("access", "path-only or path-and-sub-paths") != nil
        let access = hasAccess ? section.choice("access", Resource.Access.self) : nil
        let isActive = section.flag("active", true)
        let isUpgradeAllowed = section.flag("upgrade-allowed", false)
        let isSegmentMatch = section.flag("segment-match", false)
        _ = section.string("description")
        section.readCreated()
        section.finish()
        if let path, let problem = Resource.pathError(path) {
            findings.error(section.place("path"), "\(key).path", "\"\(path)\" can never match: \(problem)")
            hadErrors = true
            return
        }
        guard let path, let access else {
            hadErrors = true
            return
        }
        let resource = Resource(
            path: path,
            access: access,
            isSegmentMatch: isSegmentMatch,
            isActive: isActive,
            isUpgradeAllowed: isUpgradeAllowed
        )
        if isSegmentMatch, access == .pathOnly {
            findings.warning(
                section.place("segment-match"),
                "\(key).segment-match",
                "has no effect with access path-only"
            )
        }
        if let earlier = resources.firstIndex(where: { $0.path == path && $0.access == access }) {
            findings.error(
                section.place("path"),
                "\(key).path",
                "\(path) with access \(access.rawValue) already stands in line \(places[earlier].line)"
            )
            hadErrors = true
            return
        }
        warn(about: resource, section.place("path"), key)
        resources.append(resource)
        lines.append(node.line)
        places.append(section.place("path"))
    }

    private func warn(about resource: Resource, _ place: YAMLNode, _ key: String) {
        guard resource.isActive, resource.access == .pathAndSubPaths else { return }
        if resource.path == "/" {
            findings.warning(
                place,
                "\(key).path",
                "\"/\" with all sub-paths exposes the whole system; name the paths that are needed"
            )
        } else if !resource.path.hasSuffix("/"), !resource.isSegmentMatch {
            findings.warning(
                place,
                "\(key).path",
                "the prefix ends inside a segment, so it also admits \(resource.path)-and-more; end it with \"/\" or "
                    + "set segment-match: true if that is not meant"
            )
        }
    }

    /// Resources that make no difference, because another one already admits all their paths.
    private func checkOverlaps() {
        for (index, resource) in resources.enumerated() where resource.isActive {
            let cover = resources.indices.first { other in
                other != index && resources[other].isActive && resources[other].covers(resource)
                    && (!resource.isUpgradeAllowed || resources[other].isUpgradeAllowed)
            }
            if let cover {
                findings.warning(
                    places[index],
                    "\(key).resources[\(index)].path",
                    "makes no difference: \(resources[cover].path) in line \(places[cover].line) already admits it"
                )
            }
        }
    }
}

extension Resource {
    /// Whether every path that `other` admits is admitted by this resource as well.
    fileprivate func covers(_ other: Resource) -> Bool {
        guard access == .pathAndSubPaths, other.path.hasPrefix(path) else { return false }
        guard isSegmentMatch else { return true }
        if other.path.utf8.count == path.utf8.count { return other.access == .pathOnly || other.isSegmentMatch }
        return path.hasSuffix("/") || other.path.utf8.dropFirst(path.utf8.count).first == UInt8(ascii: "/")
    }
}
