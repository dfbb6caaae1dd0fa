/// Proof that the policy allowed one connection to a TCP system.
///
/// Only `AccessPolicy` can make one, and whoever connects must present it.
package struct ConnectionPermit: Sendable {
    package let system: SystemMapping
    /// The one that belongs to the virtual port that was asked for.
    package let internalPort: UInt16

    init(system: SystemMapping, internalPort: UInt16) {
        self.system = system
        self.internalPort = internalPort
    }
}

extension AccessPolicy {
    /// Decides on a connection without HTTP. A TCP system has no paths: whoever may reach it reaches all of it.
    ///
    /// - Returns: nil where `host` and `port` are not exposed as TCP or TCPS.
    package func permitConnection(host: Span<UInt8>, port: UInt16) -> ConnectionPermit? {
        guard let system = system(host: host, port: port), system.protocol == .tcp || system.protocol == .tcps else {
            return nil
        }
        return ConnectionPermit(system: system, internalPort: system.internalPort + (port - system.virtualPort))
    }
}
