/// Proof that the policy allowed one request to one system.
///
/// Only `AccessPolicy` can make one, and whoever opens or reuses a connection to an internal host must present it:
/// forwarding without a decision does not compile. It carries the very target that was decided on.
package struct Permit: Sendable {
    package let system: SystemMapping
    package let target: RequestTarget
    /// Index of the deciding resource in `system.resources`: the longest one that admits the path.
    package let resourceIndex: Int

    /// The request asked for an upgrade, and may have it.
    package let allowsUpgrade: Bool

    init(system: SystemMapping, target: RequestTarget, resourceIndex: Int, allowsUpgrade: Bool) {
        self.system = system
        self.target = target
        self.resourceIndex = resourceIndex
        self.allowsUpgrade = allowsUpgrade
    }

    package var resource: Resource { system.resources[resourceIndex] }
}
