internal import ConnectivityService
internal import NIOCore
internal import TunnelCore

/// Reads `cloud.conf`.
enum CloudConfigurationReader {
    static func load(_ file: String) throws(ConfigurationError) -> (ServiceConfiguration, warnings: [Finding]) {
        let (configuration, findings) = read(try ConfigurationFile.bytes(file), file: file)
        guard let configuration else { throw ConfigurationError(findings: findings) }
        return (configuration, findings)
    }

    static func read(_ bytes: [UInt8], file: String) -> (ServiceConfiguration?, [Finding]) {
        let findings = Findings(file: file)
        guard var section = ConfigurationFile.section(bytes, findings) else { return (nil, findings.sorted) }
        var configuration = ServiceConfiguration(tunnelTLS: TLSConfiguration(role: .server), subaccount: "")
        configuration.subaccount = section.required("subaccount", "whose connectors serve the requests") ?? ""
        configuration.eventLoops = section.integer("event-loops", 2, in: 1...64)
        if let node = section.value("proxy") {
            readProxy(node, &configuration, findings)
        }
        if let node = section.value("tunnel") {
            readTunnel(node, &configuration, findings)
        } else {
            findings.error(section.node, "tunnel", "is missing: connectors need a certificate to trust")
        }
        if let node = section.value("times") { readTimes(node, &configuration, findings) }
        section.finish()
        return (findings.hasErrors ? nil : configuration, findings.sorted)
    }

    private static func readProxy(_ node: YAMLNode, _ configuration: inout ServiceConfiguration, _ findings: Findings) {
        var section = Section(node, "proxy", findings)
        if let address = section.address("listen", allowsZero: true) {
            configuration.proxyAddress = .init(host: address.host, port: address.port)
            if !["127.0.0.1", "::1", "localhost"].contains(address.host) {
                findings.warning(
                    section.place("listen"),
                    "proxy.listen",
                    "everyone who reaches \(address.host) can use the proxy: authorization is none"
                )
            }
        }
        if let authorization = section.string("authorization"), authorization != "none" {
            findings.error(
                section.place("authorization"),
                "proxy.authorization",
                authorization == "token" ? "token is not supported yet; use none" : "must be none"
            )
        }
        configuration.maxConnections = section.integer("max-connections", configuration.maxConnections, in: 1...100_000)
        configuration.maxWaiting = section.integer("max-waiting", configuration.maxWaiting, in: 0...100_000)
        let limits = HTTP1Limits()
        configuration.limits.startLine = section.integer("max-request-line", limits.startLine, in: 8000...65536)
        configuration.limits.fieldLine = section.integer("max-header-line", limits.fieldLine, in: 1024...65536)
        configuration.limits.head = section.integer("max-header-size", limits.head, in: 4096...65536)
        configuration.limits.fields = section.integer("max-headers", limits.fields, in: 10...100)
        section.finish()
    }

    private static func readTunnel(_ node: YAMLNode, _ configuration: inout ServiceConfiguration, _ findings: Findings)
    {
        var section = Section(node, "tunnel", findings)
        if let address = section.address("listen", allowsZero: true) {
            configuration.tunnelAddress = .init(host: address.host, port: address.port)
        }
        var paths: [String: String] = [:]
        for name in ["certificate", "private-key", "trusted-ca"] {
            paths[name] = section.required(name, "a PEM file")
            if let path = paths[name] {
                ConfigurationFile.checkReadable(path, section.place(name), section.path(name), findings)
            }
        }
        let minimum = section.choice("minimum-tls", TLSConfiguration.Version.self) ?? .tls13
        configuration.pingInterval = section.duration("ping-interval", .seconds(10), atLeast: .seconds(1))
        configuration.tunnel = readHTTP2(&section)
        section.finish()
        configuration.tunnelTLS = TLSConfiguration(
            role: .server,
            minimumVersion: minimum,
            certificateChain: .file(paths["certificate"] ?? ""),
            privateKey: .file(paths["private-key"] ?? ""),
            trust: .anchors([.file(paths["trusted-ca"] ?? "")]),
            requiresClientCertificate: true,
            applicationProtocols: [TunnelProtocol.name]
        )
    }

    private static func readTimes(_ node: YAMLNode, _ configuration: inout ServiceConfiguration, _ findings: Findings) {
        var section = Section(node, "times", findings)
        let fallback = ProxyTimes()
        let second = TimeAmount.seconds(1)
        configuration.times.requestHead = section.duration("request-head", fallback.requestHead, atLeast: second)
        configuration.times.requestBody = section.duration("request-body", fallback.requestBody, atLeast: second)
        configuration.times.keepAlive = section.duration("keep-alive", fallback.keepAlive, atLeast: second)
        configuration.times.exchange = section.duration("exchange", fallback.exchange, atLeast: second)
        section.finish()
    }
}
