internal import ConfigurationReading
internal import Cryptography
internal import HostSystem

/// Reads `replicas` and `instance`: whether others of the same identity may serve beside a connector, and what tells it apart.
enum ReplicaReader {
    private enum Replicas: String, CaseIterable {
        /// The one that came last serves, the others stand by.
        case standby
        case active
    }

    /// - Returns: nil for a connector that serves alone.
    static func read(_ section: inout Section, _ findings: Findings) -> InstanceName? {
        let isActive = section.choice("replicas", Replicas.self) == .active
        let text = section.string("instance")
        guard isActive else {
            if text != nil {
                findings.warning(section.place("instance"), "instance", "has no meaning without replicas: active")
            }
            return nil
        }
        if let name = InstanceName(text ?? HostIdentity.name) { return name }
        findings.error(
            section.place(text == nil ? "replicas" : "instance"),
            "instance",
            text == nil
                ? "is missing, and this machine's name is no name of an instance: say one that no other connector has"
                : "must be 1 to 63 letters, digits, \".\", \"-\" and \"_\""
        )
        return nil
    }
}
