internal import AccessPolicy
package import AdminAccess
internal import AvailabilityCheck
package import CloudConnector
package import ConfigurationReading
internal import Cryptography
package import DaemonSupport
internal import NIOCore
internal import PrincipalPropagation
internal import TextFormats
internal import TunnelCore
internal import YAMLDocument

/// From the text of `connector.conf` to a `ConnectorConfiguration`, with findings for everything that is wrong or odd.
package struct ConnectorConfigurationReader {
    let file: String
    private let findings: Findings
    private var configuration = ConnectorConfiguration()
    private var process = ProcessConfiguration()
    private var administration = AdministrationSettings()
    private var alerts = AlertThresholds()
    private var isToBeSetUp = false

    private init(file: String) {
        self.file = file
        self.findings = Findings(file: file)
    }

    /// - Returns: the configuration, unless a finding is an error.
    package static func read(_ bytes: [UInt8], file: String) -> (ConnectorConfiguration?, [Finding]) {
        let reader = parse(bytes, file)
        return (reader.findings.hasErrors ? nil : reader.configuration, reader.findings.sorted)
    }

    /// - Parameter changed: what the file is to contain; nil for what it does.
    package static func load(
        _ file: String,
        _ changed: [UInt8]? = nil
    ) throws(ConfigurationError) -> Loaded {
        let bytes: [UInt8]
        if let changed { bytes = changed } else { bytes = try ConfigurationFile.bytes(file) }
        let reader = parse(bytes, file)
        guard !reader.findings.hasErrors else { throw ConfigurationError(findings: reader.findings.sorted) }
        return Loaded(
            configuration: reader.configuration,
            process: reader.process,
            administration: reader.administration,
            alerts: reader.alerts,
            isToBeSetUp: reader.isToBeSetUp,
            warnings: reader.findings.sorted
        )
    }

    /// What a file says, once it can be used.
    package struct Loaded {
        package var configuration: ConnectorConfiguration
        /// What it says for the process as a whole.
        package var process: ProcessConfiguration
        package var administration: AdministrationSettings
        package var alerts: AlertThresholds
        /// There is no connector yet.
        package var isToBeSetUp: Bool
        package var warnings: [Finding]
    }

    private static func parse(_ bytes: [UInt8], _ file: String) -> ConnectorConfigurationReader {
        var reader = ConnectorConfigurationReader(file: file)
        if var section = ConfigurationFile.section(bytes, reader.findings) { reader.readTop(&section) }
        return reader
    }

    private mutating func readTop(_ section: inout Section) {
        if let key = ["proxy", "socks", "api", "cockpit", "enrolment"].first(where: { section.has($0) }) {
            return findings.error(
                section.place(key),
                key,
                "this is a file of the cloud side (cloud.conf); `connectord cloud` takes it, and check-config with --cloud"
            )
        }
        // With nothing but how it is administered, everything else is still to come from the page.
        isToBeSetUp = section.has("admin") && !["subaccount", "tunnel", "systems"].contains { section.has($0) }
        if isToBeSetUp {
            readProcess(&section)
            section.finish()
            return findings.warning(
                section.node,
                "",
                "says no subaccount and no tunnel yet; set it up on the page, with a token"
            )
        }
        if let subaccount = section.required("subaccount", "the name or ID of the subaccount this connector serves") {
            checkIdentifier(subaccount, section, "subaccount", limit: 128)
            configuration.subaccount = subaccount
        }
        configuration.regionHost = section.string("region-host") ?? ""
        configuration.locationID = section.string("location-id") ?? ""
        checkIdentifier(configuration.locationID, section, "location-id", limit: 128)
        configuration.description = section.string("description") ?? ""
        configuration.displayName = section.string("display-name") ?? ""
        configuration.eventLoops = section.integer("event-loops", 2, in: 1...64)
        let connections = configuration.forwarding.maxConnections
        configuration.forwarding.maxConnections = section.integer(
            "max-backend-connections",
            connections,
            in: 1...100_000
        )
        if let tunnel = section.value("tunnel") {
            readTunnel(tunnel)
        } else {
            findings.error(section.node, "tunnel", "is missing: it says where to dial and with which certificate")
        }
        configuration.tunnel.instance = ReplicaReader.read(&section, findings)
        var systems = SystemsReader(file: file, findings: findings)
        systems.read(section.list("systems"), section)
        configuration.systems = systems.systems
        configuration.places = systems.places
        readCookieDomains(section.list("cookie-domains"))
        if let check = section.value("check") { readCheck(check) }
        readBackendTrust(section.value("backend-trust"))
        readUsers(&section)
        if let times = section.value("times") { readTimes(times) }
        if let responses = section.value("responses") { readResponses(responses) }
        readProcess(&section)
        section.finish()
        configuration.file = file
        let tunnel = configuration.tunnel
        configuration.tunnelFilesDigest = FileDigest.of([tunnel.certificate, tunnel.privateKey, tunnel.trustedCA])
    }

    private mutating func readProcess(_ section: inout Section) {
        administration.folder = AdministrationReader.usualFolder(file)
        process = ProcessConfiguration.read(&section, findings, socket: "/run/connector/admin.sock") { admin in
            AdministrationReader.read(&admin, findings, &administration)
        }
        process.isGiven = process.isGiven || section.has("alerts")
        alerts = AlertThresholds.read(&section, findings)
    }

    private func checkIdentifier(_ text: String, _ section: Section, _ name: String, limit: Int) {
        if text.utf8.count > limit || text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            findings.error(
                section.place(name),
                section.path(name),
                "must be at most \(limit) bytes without control characters"
            )
        }
    }

    private mutating func readTunnel(_ node: YAMLNode) {
        var section = Section(node, "tunnel", findings)
        if section.required("service", "host:port of the connectivity service") != nil,
            let address = section.address("service", fallbackPort: 443)
        {
            (configuration.tunnel.serviceHost, configuration.tunnel.servicePort) = (address.host, address.port)
        }
        configuration.tunnel.isActive = section.flag("active", true)
        if !configuration.tunnel.isActive {
            findings.warning(
                section.place("active"),
                "tunnel.active",
                "the connector does not dial, so nothing is reachable"
            )
        }
        configuration.tunnel.connections = section.integer("connections", 2, in: 1...64)
        configuration.tunnel.services = section.integer("services", configuration.tunnel.services, in: 1...64)
        for (name, path) in [
            ("certificate", \ConnectorConfiguration.Tunnel.certificate), ("private-key", \.privateKey),
            ("trusted-ca", \.trustedCA),
        ] as [(String, WritableKeyPath<ConnectorConfiguration.Tunnel, String>)] {
            if let value = section.required(name, "a PEM file").map({ Credential.path($0) }) {
                configuration.tunnel[keyPath: path] = value
                ConfigurationFile.checkReadable(value, section.place(name), section.path(name), findings)
            }
        }
        if let proxy = section.value("http-proxy") { readProxy(proxy) }
        configuration.tunnel.dialect = section.choice("dialect", TunnelDialect.self) ?? .standard
        EnvoyReader(findings: findings).read(&section, &configuration)
        configuration.tunnel.renews = section.flag("renew", configuration.tunnel.dialect.hasControlStream)
        if configuration.tunnel.renews, !configuration.tunnel.dialect.hasControlStream {
            findings.error(
                section.place("renew"),
                "tunnel.renew",
                "is not possible with this dialect: who runs the edge gives out certificates; leave it out"
            )
        }
        configuration.tunnel.minimumTLS = section.tunnelTLS()
        configuration.tunnel.pingInterval = section.duration("ping-interval", .seconds(10), atLeast: .seconds(1))
        configuration.tunnel.http2 = readHTTP2(&section)
        section.finish()
    }

    /// "host:port", or a mapping where the proxy asks for a user and password.
    private mutating func readProxy(_ node: YAMLNode) {
        if case .scalar(let text, _) = node.content {
            guard !text.isEmpty else { return }
            guard let (host, port) = HostPort.parse(text), let port, (1...65535).contains(port),
                HostPort.isHostName(host) || host.contains(":")
            else {
                findings.error(node, "tunnel.http-proxy", "must be host:port, not \"\(LogText.escaped(text.utf8))\"")
                return
            }
            configuration.tunnel.proxy = DialerConfiguration.Proxy(host: host, port: port)
            return
        }
        var section = Section(node, "tunnel.http-proxy", findings)
        if section.required("address", "host:port of the proxy") != nil, let address = section.address("address") {
            configuration.tunnel.proxy = DialerConfiguration.Proxy(host: address.host, port: address.port)
        }
        let user = section.string("user")
        let file = section.string("password-file").map { Credential.path($0) }
        if let user, user.contains(":") {
            findings.error(section.place("user"), "tunnel.http-proxy.user", "must not contain a colon (RFC 7617)")
        }
        if let user {
            var password = ""
            if let file {
                do throws(ConfigurationError) {
                    password = try ConfigurationFile.secret(file)
                } catch {
                    let message = "\(file) \(error.findings[0].message)"
                    let key = "tunnel.http-proxy.password-file"
                    // Credentials are there for the service only.
                    if Credential.isElsewhere(file) {
                        findings.warning(
                            section.place("password-file"),
                            key,
                            message + "; systemd hands it to the service at its start, so a new secret needs a restart"
                        )
                    } else {
                        let advice = file.hasPrefix("/run/credentials/") ? "; a new secret needs a restart" : ""
                        findings.error(section.place("password-file"), key, message + advice)
                    }
                }
            }
            configuration.tunnel.proxy?.credentials = DialerConfiguration.Credentials(user: user, password: password)
        } else if file != nil {
            findings.error(
                section.place("password-file"),
                "tunnel.http-proxy.user",
                "is missing: whose password is it?"
            )
        }
        section.finish()
    }

    private mutating func readCookieDomains(_ nodes: [YAMLNode]) {
        for (index, node) in nodes.enumerated() {
            var section = Section(node, "cookie-domains[\(index)]", findings)
            let inner = section.required("internal", "the domain of cookies that internal hosts set")
            let outer = section.required("virtual", "what programs see in its place")
            for (name, text) in [("internal", inner), ("virtual", outer)] {
                guard let text, !HostPort.isHostName(text) else { continue }
                findings.error(
                    section.place(name),
                    section.path(name),
                    "\"\(LogText.escaped(text.utf8))\" is not a domain; write it without a dot in front and without a port"
                )
            }
            section.finish()
            guard let inner, let outer else { continue }
            if configuration.cookieDomains.contains(where: { $0.internalDomain == inner.lowercased() }) {
                findings.error(section.place("internal"), section.path("internal"), "\(inner) stands here already")
            }
            configuration.cookieDomains.append(CookieDomain(internalDomain: inner, virtualDomain: outer))
        }
    }

    private mutating func readCheck(_ node: YAMLNode) {
        var section = Section(node, "check", findings)
        if section.string("interval") == "off" {
            configuration.check.interval = nil
        } else {
            configuration.check.interval = section.duration("interval", .seconds(30), atLeast: .seconds(1))
        }
        configuration.check.timeout = section.duration("timeout", .seconds(5), atLeast: .milliseconds(100))
        section.finish()
    }

    private mutating func readBackendTrust(_ node: YAMLNode?) {
        let hasHTTPS = configuration.systems.contains { $0.protocol == .https }
        guard let node else {
            if hasHTTPS, let index = configuration.systems.firstIndex(where: { $0.protocol == .https }) {
                findings.add(
                    .warning,
                    configuration.places[index].line,
                    1,
                    "systems[\(index)].protocol",
                    "HTTPS, but no certificate is trusted; name the CA of your internal hosts in backend-trust"
                )
            }
            return
        }
        var section = Section(node, "backend-trust", findings)
        var sources: [PEMSource] = []
        var paths: [String] = []
        for item in section.list("certificates") {
            guard case .scalar(let name, _) = item.content else {
                findings.error(item, "backend-trust.certificates", "each item must be a PEM file, not \(item.kind)")
                continue
            }
            let path = Credential.path(name)
            ConfigurationFile.checkReadable(path, item, "backend-trust.certificates", findings)
            sources.append(.file(path))
            paths.append(path)
        }
        configuration.backendTrustDigest = FileDigest.of(paths)
        configuration.backendTLS.trust = .anchors(sources)
        readCiphers(&section)
        if section.flag("trust-all", false) {
            configuration.backendTLS.trust = .anyCertificate
            findings.warning(
                section.place("trust-all"),
                "backend-trust.trust-all",
                "no certificate of an internal host is checked; use it for tests only"
            )
        }
        if let version = section.choice("minimum-tls", TLSConfiguration.Version.self) {
            configuration.backendTLS.minimumVersion = version
        }
        section.finish()
    }

    /// Who the connector is to internal hosts, and who its users are.
    private mutating func readUsers(_ section: inout Section) {
        let reader = PropagationReader(findings: findings)
        let own = Set(configuration.systems.compactMap(\.clientCertificate)).flatMap {
            [$0.certificate, $0.privateKey]
        }
        if !own.isEmpty { configuration.backendTrustDigest += FileDigest.of(own.sorted()) }
        if let node = section.value("system-certificate") {
            let files = reader.pair(node, "system-certificate")
            configuration.backendTLS.certificateChain = .file(files.certificate)
            configuration.backendTLS.privateKey = .file(files.privateKey)
            configuration.backendTrustDigest += FileDigest.of([files.certificate, files.privateKey])
        }
        if let node = section.value("kerberos") {
            configuration.kerberos = KerberosReader(findings: findings).read(node)
        }
        let hasKerberos = section.has("kerberos")
        if let node = section.value("principal-propagation") {
            configuration.propagation = reader.read(node, needsAuthority: !hasKerberos)
        }
        configuration.checkUsers(hasKerberos, findings)
    }

    private mutating func readCiphers(_ section: inout Section) {
        guard let list = section.string("ciphers") else { return }
        configuration.backendTLS.ciphers = list
        do throws(TLSError) {
            var probe = TLSConfiguration(role: .client)
            probe.ciphers = list
            _ = try TLSContext(probe)
        } catch {
            findings.error(
                section.place("ciphers"),
                section.path("ciphers"),
                "\(error); write it as for \"openssl ciphers\", such as DEFAULT or ECDHE+AESGCM"
            )
        }
    }

    /// What the head of an internal host's response may hold.
    private mutating func readResponses(_ node: YAMLNode) {
        var section = Section(node, "responses", findings)
        var limits = configuration.forwarding.responseLimits
        limits.fields = section.integer("max-headers", limits.fields, in: 10...2000)
        limits.fieldLine = section.integer("max-header-line", limits.fieldLine, in: 1024...65536)
        limits.head = section.integer("max-header-size", limits.head, in: 4096...(96 << 10))
        configuration.forwarding.responseLimits = limits
        section.finish()
    }

    private mutating func readTimes(_ node: YAMLNode) {
        var section = Section(node, "times", findings)
        let fallback = ForwardingConfiguration()
        configuration.forwarding.connect = section.duration("connect", fallback.connect, atLeast: .milliseconds(100))
        configuration.forwarding.responseHead = section.duration(
            "response-head",
            fallback.responseHead,
            atLeast: .seconds(1)
        )
        configuration.forwarding.idle = section.duration("idle", fallback.idle, atLeast: .seconds(1))
        configuration.drain = section.duration("drain", configuration.drain, atLeast: .seconds(0))
        configuration.forwarding.tcpIdle = section.duration("tcp-idle", fallback.tcpIdle, atLeast: .seconds(1))
        configuration.forwarding.webSocketIdle = section.duration(
            "websocket-idle",
            fallback.webSocketIdle,
            atLeast: .seconds(1)
        )
        configuration.forwarding.poolIdle = section.duration("pool-idle", fallback.poolIdle, atLeast: .seconds(1))
        section.finish()
    }
}
