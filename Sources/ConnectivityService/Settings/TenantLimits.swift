internal import HostSystem

/// What one connector, or all of one subaccount, may take from a service that many share.
package struct TenantLimits: Sendable, Equatable {
    /// Tunnels of one connector at a time, those that are on their way out included: 2 to 1,000.
    package var tunnelsPerConnector: Int
    package var exposedSystems: ExposedSystemLimits
    /// Bytes of responses that clients of one subaccount have not taken, beyond which its new requests get 503.
    package var heldBytes: Int
    /// Bytes of resident memory of the process, beyond which new connections are refused and idle ones closed; 0 for no
    /// limit.
    package var processMemory: Int
    package var fairness = FairnessLimits()

    package init(
        tunnelsPerConnector: Int = 16,
        exposedSystems: ExposedSystemLimits = ExposedSystemLimits(),
        heldBytes: Int = 256 << 20,
        processMemory: Int = TenantLimits.defaultMemory
    ) {
        self.tunnelsPerConnector = tunnelsPerConnector
        self.exposedSystems = exposedSystems
        self.heldBytes = heldBytes
        self.processMemory = processMemory
    }

    /// Two GiB, or three quarters of what there is where that is less.
    package static let defaultMemory = min(2 << 30, ProcessMemory.available() / 4 * 3)
}

/// How many exposed systems may be remembered, of all connectors together.
package struct ExposedSystemLimits: Sendable, Equatable {
    package var perConnector = 10_000
    package var perSubaccount = 20_000
    package var inAll = 200_000

    package init() {}
}
