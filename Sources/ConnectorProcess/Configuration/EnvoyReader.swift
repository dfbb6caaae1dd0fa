internal import CloudConnector
internal import ConfigurationReading
internal import HostSystem
internal import TextFormats
internal import TunnelCore

/// Reads `tunnel.envoy`: who the connector is to an Envoy. All of it has defaults.
struct EnvoyReader {
    let findings: Findings

    /// - Parameter configuration: with subaccount, location ID and dialect.
    func read(_ tunnel: inout Section, _ configuration: inout ConnectorConfiguration) {
        guard configuration.tunnel.dialect == .envoy else {
            if tunnel.value("envoy") != nil {
                findings.error(tunnel.place("envoy"), "tunnel.envoy", "has no meaning without tunnel.dialect: envoy")
            }
            return
        }
        let location = configuration.locationID
        let group = configuration.subaccount + (location.isEmpty ? "" : ".\(location)")
        var section = tunnel.value("envoy").map { Section($0, "tunnel.envoy", findings) }
        var settings = EnvoySettings()
        for (name, usual, path) in [
            ("node-id", HostIdentity.name, \EnvoySettings.node), ("cluster-id", group, \.cluster),
            ("tenant-id", configuration.subaccount, \.tenant),
        ] as [(String, String, WritableKeyPath<EnvoySettings, String>)] {
            let given = section?.string(name)
            settings[keyPath: path] = given ?? usual
            if EnvoySettings.isIdentifier(settings[keyPath: path]) { continue }
            findings.error(
                given == nil ? tunnel.place("dialect") : section!.place(name),
                "tunnel.envoy.\(name)",
                (given == nil ? "is missing, and \"\(LogText.escaped(usual.utf8))\" cannot stand for it; it " : "")
                    + "must be 1 to \(EnvoySettings.identifierLimit) characters of ASCII without spaces and colons"
            )
        }
        if settings.node == settings.cluster {
            findings.error(
                section?.place("node-id") ?? tunnel.place("dialect"),
                "tunnel.envoy.node-id",
                "must not be the cluster's: the Envoy looks for both in one list"
            )
        }
        if let path = section?.string("path") {
            settings.path = path
            if !path.hasPrefix("/") || !path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
                findings.error(section!.place("path"), "tunnel.envoy.path", "must be a path that begins with /")
            }
        }
        settings.isUpgrade = section?.flag("upgrade", false) ?? false
        section?.finish()
        configuration.tunnel.envoy = settings
    }
}
