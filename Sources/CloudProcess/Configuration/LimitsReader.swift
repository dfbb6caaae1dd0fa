internal import ConfigurationReading
internal import ConnectivityService
internal import YAMLDocument

/// Reads `limits`.
enum LimitsReader {
    /// What one tenant may take from what all share.
    static func read(_ node: YAMLNode, _ configuration: inout ServiceConfiguration, _ findings: Findings) {
        var section = Section(node, "limits", findings)
        let fallback = TenantLimits()
        let systems = fallback.exposedSystems
        var limits = TenantLimits()
        limits.tunnelsPerConnector = section.integer(
            "tunnels-per-connector",
            fallback.tunnelsPerConnector,
            in: 2...1000
        )
        limits.exposedSystems.perConnector = section.integer(
            "systems-per-connector",
            systems.perConnector,
            in: 10...1_000_000
        )
        limits.exposedSystems.perSubaccount = section.integer(
            "systems-per-subaccount",
            systems.perSubaccount,
            in: 10...1_000_000
        )
        limits.exposedSystems.inAll = section.integer("systems", systems.inAll, in: 10...10_000_000)
        limits.heldBytes =
            section.integer("held-mib-per-subaccount", fallback.heldBytes >> 20, in: 1...1_000_000) << 20
        limits.processMemory = section.integer("memory-mib", fallback.processMemory >> 20, in: 0...1_000_000) << 20
        limits.fairness.subaccount = readRequests("per-subaccount", &section, findings)
        limits.fairness.client = readRequests("per-client", &section, findings)
        limits.fairness.virtualHost = readRequests("per-virtual-host", &section, findings)
        configuration.tenants = limits
        configuration.minimumBodyRate = section.integer(
            "min-body-rate",
            configuration.minimumBodyRate,
            in: 0...1_000_000
        )
        section.finish()
    }

    private static func readRequests(_ name: String, _ top: inout Section, _ findings: Findings) -> RequestLimits {
        var limits = RequestLimits()
        guard let node = top.value(name) else { return limits }
        var section = Section(node, top.path(name), findings)
        limits.inFlight = section.integer("requests-in-flight", 0, in: 0...1_000_000)
        limits.perSecond = section.integer("requests-per-second", 0, in: 0...1_000_000)
        limits.bytesPerSecond = section.integer("kib-per-second", 0, in: 0...1_000_000_000) << 10
        section.finish()
        return limits
    }
}
