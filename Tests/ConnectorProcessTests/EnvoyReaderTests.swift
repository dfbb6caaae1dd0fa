internal import ConfigurationReading
import Testing
internal import TunnelCore

@testable import CloudConnector
@testable import ConnectorProcess

/// `tunnel.envoy` of a connector's file.
struct EnvoyReaderTests {
    private static func read(_ envoy: String, subaccount: String = "acme") -> (ConnectorConfiguration?, [String]) {
        ConnectorConfigurationTests.read(
            """
            subaccount: "\(subaccount)"
            location-id: plant4
            tunnel: {service: "h:1", certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null, \(envoy)}

            """
        )
    }

    @Test("Cluster and tenant follow from the subaccount, and each can be said")
    func defaults() throws {
        let usual = try #require(Self.read("dialect: envoy").0).dialer.envoy
        #expect(usual.cluster == "acme.plant4" && usual.tenant == "acme" && !usual.node.isEmpty)
        #expect(usual.path == EnvoySettings.defaultPath && !usual.isUpgrade)
        let said = try #require(
            Self.read("dialect: envoy, envoy: {node-id: n, cluster-id: c, tenant-id: t, path: /p, upgrade: true}").0
        ).dialer.envoy
        #expect([said.node, said.cluster, said.tenant, said.path] == ["n", "c", "t", "/p"] && said.isUpgrade)
    }

    @Test(
        "What an Envoy could not take, and what has no meaning, is an error with its key",
        arguments: [
            ("envoy: {node-id: n}", "tunnel.envoy: has no meaning without tunnel.dialect: envoy"),
            ("dialect: envoy, envoy: {node-id: \"a:b\"}", "tunnel.envoy.node-id: must be 1 to 128"),
            ("dialect: envoy, envoy: {node-id: c, cluster-id: c}", "tunnel.envoy.node-id: must not be the cluster's"),
            ("dialect: envoy, envoy: {path: here}", "tunnel.envoy.path: must be a path"),
            ("dialect: envoy, envoy: {node: n}", "known are node-id"),
            ("dialect: envoy, renew: true", "tunnel.renew"),
        ]
    )
    func errors(_ envoy: String, _ expected: String) {
        let (configuration, findings) = Self.read(envoy)
        #expect(configuration == nil && findings.contains { $0.contains(expected) }, "\(findings)")
    }

    @Test("A subaccount that is no identifier needs one beside it")
    func unusual() {
        let (configuration, findings) = Self.read("dialect: envoy", subaccount: "a b")
        #expect(
            configuration == nil && findings.contains { $0.contains("tunnel.envoy.tenant-id: is missing") },
            "\(findings)"
        )
        #expect(Self.read("dialect: envoy, envoy: {cluster-id: c, tenant-id: t}", subaccount: "a b").0 != nil)
    }
}
