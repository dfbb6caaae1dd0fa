internal import CloudServices
package import ConfigurationReading
package import ConnectivityService
internal import ControlProtocol
internal import Cryptography
package import DaemonSupport
internal import Glibc
internal import NIOCore
internal import TextFormats
internal import Tokens
internal import TunnelCore
internal import YAMLDocument

/// Everything `cloud.conf` says, validated.
package struct CloudConfiguration: Sendable {
    /// The service's own certificate authority.
    struct Enrolment: Sendable, Equatable {
        var authority = ""
        /// In the service's own certificate, where it comes from the authority.
        var serviceNames: [String] = []
        /// "host:port" that a new connector is told to dial; empty for the first service name and the tunnel's port.
        var advertise = ""
        /// Of connectors' certificates, in seconds.
        var lifetime = 90 * 86400
        /// PEM file with what connectors should trust; empty for the authority itself.
        var anchor = ""

        /// What a reload does not change; the rest counts at once.
        var atStart: Enrolment {
            var fixed = self
            (fixed.serviceNames, fixed.advertise) = ([], "")
            return fixed
        }
    }

    package var service: ServiceConfiguration
    /// Nil where nobody needs tokens.
    var api: CloudAPIConfiguration?
    /// Nil where nobody wants the page.
    var cockpit: CockpitConfiguration?
    /// Where the page is; nil without one.
    package var cockpitPort: Int? { cockpit?.address.port }
    /// Whether requests at the proxy need a token.
    package var usesTokens = false
    package var process = ProcessConfiguration()
    /// Nil where connectors' certificates come from elsewhere.
    var enrolment: Enrolment?
    /// Nil where what is remembered is in files.
    var store: StoreConfiguration?
    /// Whether the service's own certificate comes from the authority.
    var usesOwnCertificate = false
    var file = ""
}

/// Reads `cloud.conf`.
package enum CloudConfigurationReader {
    /// Reads and checks a file.
    package static func load(_ file: String) throws(ConfigurationError) -> (CloudConfiguration, warnings: [Finding]) {
        let (configuration, findings) = read(try ConfigurationFile.bytes(file), file: file)
        guard let configuration else { throw ConfigurationError(findings: findings) }
        return (configuration, findings)
    }

    /// Checks the bytes of a file; nil where a finding is an error.
    package static func read(_ bytes: [UInt8], file: String) -> (CloudConfiguration?, [Finding]) {
        let findings = Findings(file: file)
        guard var section = ConfigurationFile.section(bytes, findings) else { return (nil, findings.sorted) }
        if section.has("systems") {
            findings.error(
                section.node,
                "systems",
                "this is a connector's file (connector.conf); `connectord run` takes it, and check-config without --cloud"
            )
            return (nil, findings.sorted)
        }
        var configuration = ServiceConfiguration(tunnelTLS: TLSConfiguration(role: .server), subaccount: "")
        configuration.subaccount = section.required("subaccount", "whose connectors serve the requests") ?? ""
        configuration.eventLoops = section.integer("event-loops", 2, in: 1...64)
        let hasStore = section.has("store")
        let api = section.value("api").map {
            CloudAPIReader.read($0, configuration.subaccount, hasStore: hasStore, findings)
        }
        let cockpit = section.value("cockpit").map { CockpitReader.read($0, hasAPI: api != nil, findings) }
        var usesTokens = false
        if let node = section.value("proxy") {
            usesTokens = readProxy(node, &configuration, hasTokens: api != nil, findings)
        }
        if let node = section.value("socks") { readSocks(node, &configuration, hasTokens: api != nil, findings) }
        let store = section.value("store").flatMap { StoreReader.read($0, findings) }
        let enrolment = section.value("enrolment").map { readEnrolment($0, hasStore: section.has("store"), findings) }
        if enrolment == nil, section.has("store") {
            findings.error(
                section.place("store"),
                "store",
                "needs the section \"enrolment\": it keeps what that remembers"
            )
        }
        configuration.peers = section.value("peers").flatMap { PeersReader.read($0, hasStore: hasStore, findings) }
        var usesOwnCertificate = false
        if let node = section.value("tunnel") {
            usesOwnCertificate = readTunnel(node, &configuration, enrolment, findings)
        } else if enrolment != nil {
            usesOwnCertificate = true
        } else {
            findings.error(section.node, "tunnel", "is missing: connectors need a certificate to trust")
        }
        if let node = section.value("times") { readTimes(node, &configuration, findings) }
        if let node = section.value("limits") { LimitsReader.read(node, &configuration, findings) }
        let process = ProcessConfiguration.read(&section, findings, socket: "/run/connector-cloud/admin.sock")
        configuration.accessLog = process.accessLog
        configuration.isTracing = !process.traceFile.isEmpty
        section.finish()
        if !usesOwnCertificate, let enrolment, enrolment.anchor.isEmpty {
            findings.error(
                section.place("enrolment"),
                "enrolment.trust-anchor",
                "is missing: with a tunnel.certificate from elsewhere, connectors must be told what to trust"
            )
        }
        if usesOwnCertificate, let enrolment, enrolment.serviceNames.isEmpty {
            findings.error(
                section.place("enrolment"),
                "enrolment.service-names",
                "is missing: the names under which connectors dial this service, for its certificate"
            )
        }
        let cloud = CloudConfiguration(
            service: configuration,
            api: api,
            cockpit: cockpit,
            usesTokens: usesTokens,
            process: process,
            enrolment: enrolment,
            store: store,
            usesOwnCertificate: usesOwnCertificate,
            file: file
        )
        for clash in cloud.clashes {
            let line = section.line(of: clash.key)
            findings.add(
                .error,
                line,
                1,
                clash.key,
                "\(clash.address) is the address of \(clash.other) already: each needs its own"
            )
        }
        return (findings.hasErrors ? nil : cloud, findings.sorted)
    }

    private static func readSocks(
        _ node: YAMLNode,
        _ configuration: inout ServiceConfiguration,
        hasTokens: Bool,
        _ findings: Findings
    ) {
        var section = Section(node, "socks", findings)
        if let address = section.address("listen", allowsZero: true) {
            configuration.socksAddress = address
        } else {
            configuration.socksAddress = .init(host: "127.0.0.1", port: 20004)
        }
        configuration.socksTLS = section.listenerTLS()
        configuration.socksPeers = section.trustedPeers(needsHeader: true)
        section.finish()
        if !hasTokens {
            findings.error(node, "socks", "needs the section \"api\": SOCKS5 clients authenticate with its tokens")
        }
    }

    private static func readEnrolment(
        _ node: YAMLNode,
        hasStore: Bool,
        _ findings: Findings
    ) -> CloudConfiguration.Enrolment {
        var section = Section(node, "enrolment", findings)
        var enrolment = CloudConfiguration.Enrolment()
        enrolment.authority = section.string("authority") ?? ""
        if enrolment.authority.isEmpty, !hasStore {
            _ = section.required("authority", "a folder for the certificate authority, unless there is a store")
        } else if !enrolment.authority.isEmpty, hasStore {
            findings.error(
                section.place("authority"),
                "enrolment.authority",
                "has no meaning beside a store, which has the authority"
            )
        }
        for item in section.list("service-names") {
            guard case .scalar(let name, _) = item.content, HostPort.isHostName(name) || name.contains(":") else {
                findings.error(item, "enrolment.service-names", "each item must be a host name or an IP address")
                continue
            }
            enrolment.serviceNames.append(name)
        }
        if let address = section.address("advertise") {
            enrolment.advertise = "\(address)"
        }
        if let text = section.string("certificate-lifetime") {
            if let seconds = LifetimeText.parse(text) {
                enrolment.lifetime = seconds
            } else {
                findings.error(
                    section.place("certificate-lifetime"),
                    "enrolment.certificate-lifetime",
                    "must be a time such as 90d, 12h or 10m, from 1s to 3650d, not \"\(LogText.escaped(text.utf8))\""
                )
            }
        }
        if let anchor = section.string("trust-anchor") {
            enrolment.anchor = Credential.path(anchor, of: .cloud)
            ConfigurationFile.checkReadable(
                enrolment.anchor,
                section.place("trust-anchor"),
                "enrolment.trust-anchor",
                findings
            )
        }
        section.finish()
        return enrolment
    }

    /// - Returns: whether requests need a token.
    private static func readProxy(
        _ node: YAMLNode,
        _ configuration: inout ServiceConfiguration,
        hasTokens: Bool,
        _ findings: Findings
    ) -> Bool {
        var section = Section(node, "proxy", findings)
        let usesTokens = section.choice("authorization", Authorization.self) == .token
        if usesTokens, !hasTokens {
            findings.error(
                section.place("authorization"),
                "proxy.authorization",
                "token needs the section \"api\", which issues the tokens"
            )
        }
        configuration.isStrict = section.choice("connection-binding", Binding.self) != .relaxed
        configuration.proxyTLS = section.listenerTLS()
        configuration.proxyPeers = section.trustedPeers()
        configuration.connect = section.choice("connect", Connect.self) ?? .refuse
        if let address = section.address("listen", allowsZero: true) {
            configuration.proxyAddress = address
            if !usesTokens, !address.isLoopback {
                findings.warning(
                    section.place("listen"),
                    "proxy.listen",
                    "everyone who reaches \(address.host) can use the proxy: authorization is none"
                )
            }
        }
        configuration.maxConnections = section.integer("max-connections", configuration.maxConnections, in: 1...100_000)
        configuration.maxWaiting = section.integer("max-waiting", configuration.maxWaiting, in: 0...100_000)
        let limits = HTTP1Limits()
        configuration.limits.startLine = section.integer("max-request-line", limits.startLine, in: 8000...65536)
        configuration.limits.fieldLine = section.integer("max-header-line", limits.fieldLine, in: 1024...65536)
        configuration.limits.head = section.integer("max-header-size", limits.head, in: 4096...65536)
        configuration.limits.fields = section.integer("max-headers", limits.fields, in: 10...100)
        section.finish()
        return usesTokens
    }

    private enum Authorization: String, CaseIterable { case none, token }
    private enum Binding: String, CaseIterable { case strict, relaxed }

    /// - Returns: whether the service's certificate comes from its own authority.
    private static func readTunnel(
        _ node: YAMLNode,
        _ configuration: inout ServiceConfiguration,
        _ enrolment: CloudConfiguration.Enrolment?,
        _ findings: Findings
    ) -> Bool {
        var section = Section(node, "tunnel", findings)
        if let address = section.address("listen", allowsZero: true) {
            configuration.tunnelAddress = address
        }
        var paths: [String: String] = [:]
        let names = ["certificate", "private-key", "trusted-ca"]
        var usesOwnCertificate = false
        if enrolment != nil, names.allSatisfy({ section.value($0) == nil }) { usesOwnCertificate = true }
        for name in names where !usesOwnCertificate {
            let isOptional = enrolment != nil && name == "trusted-ca"
            let value = isOptional ? section.string(name) : section.required(name, "a PEM file")
            paths[name] = value.map { Credential.path($0, of: .cloud) }
            if let path = paths[name] {
                ConfigurationFile.checkReadable(path, section.place(name), section.path(name), findings)
            }
        }
        let minimum = section.tunnelTLS()
        configuration.pingInterval = section.duration("ping-interval", .seconds(10), atLeast: .seconds(1))
        configuration.tunnelPeers = section.trustedPeers(needsHeader: true)
        configuration.tunnel = readHTTP2(&section)
        configuration.namedConnectors = readNamedConnectors(section.list("connectors"), findings)
        configuration.leavesOutOthers = section.choice("different-replicas", DifferentReplicas.self) == .leaveOut
        section.finish()
        configuration.tunnelTLS = TLSConfiguration(
            role: .server,
            minimumVersion: minimum,
            certificateChain: .file(paths["certificate"] ?? ""),
            privateKey: .file(paths["private-key"] ?? ""),
            trust: .anchors(paths["trusted-ca"].map { [.file($0)] } ?? []),
            requiresClientCertificate: true,
            applicationProtocols: TunnelDialect.applicationProtocols
        )
        if enrolment != nil {
            configuration.tunnelTLS.applicationProtocols.append(EnrolmentProtocol.name)
            configuration.tunnelTLS.anonymousProtocols = [EnrolmentProtocol.name]
        }
        return usesOwnCertificate
    }

    /// Who connectors are whose certificates come from elsewhere, and do not say it.
    private static func readNamedConnectors(_ nodes: [YAMLNode], _ findings: Findings) -> NamedConnectors {
        var named = NamedConnectors()
        for (index, node) in nodes.enumerated() {
            var section = Section(node, "tunnel.connectors[\(index)]", findings)
            let subject = section.required(
                "subject",
                "that of the certificate, such as \"CN=plant4,O=Example\" (RFC 2253)"
            )
            let serverName = section.string("server-name")
            let subaccount = section.required("subaccount", "whose connector it is")
            let locationID = section.string("location-id") ?? ""
            section.finish()
            guard let subject, let subaccount else { continue }
            let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
            if !named.add(subject, serverName: serverName, identity) {
                findings.error(section.place("subject"), section.path("subject"), "\(subject) stands here already")
            }
        }
        return named
    }

    private static func readTimes(_ node: YAMLNode, _ configuration: inout ServiceConfiguration, _ findings: Findings) {
        var section = Section(node, "times", findings)
        let fallback = ProxyTimes()
        let second = TimeAmount.seconds(1)
        configuration.times.requestHead = section.duration("request-head", fallback.requestHead, atLeast: second)
        configuration.times.requestBody = section.duration("request-body", fallback.requestBody, atLeast: second)
        configuration.times.keepAlive = section.duration("keep-alive", fallback.keepAlive, atLeast: second)
        configuration.times.drain = section.duration("drain", fallback.drain, atLeast: .seconds(0))
        configuration.times.responseHead = section.duration("response-head", fallback.responseHead, atLeast: second)
        configuration.times.queue = section.duration("queue", fallback.queue, atLeast: second)
        configuration.times.exchange = section.duration("exchange", fallback.exchange, atLeast: second)
        section.finish()
    }
}
