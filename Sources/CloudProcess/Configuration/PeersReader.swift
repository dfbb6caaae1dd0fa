internal import ConfigurationReading
internal import ConnectivityService
internal import Cryptography
internal import HostSystem
internal import TextFormats
internal import YAMLDocument

/// Reads `peers`: how the services of one store reach each other.
enum PeersReader {
    /// - Returns: nil where it is wrong; the findings say why.
    static func read(_ node: YAMLNode, hasStore: Bool, _ findings: Findings) -> PeerConfiguration? {
        var section = Section(node, "peers", findings)
        if !hasStore {
            findings.error(node, "peers", "needs the section \"store\", through which services find each other")
        }
        let address = section.address("listen", allowsZero: true)
        if address == nil {
            _ = section.required("listen", "an address that the other services reach, such as 10.0.0.11:20445")
        }
        let advertised = section.address("advertise")
        let text = section.string("name")
        section.finish()
        let machine = HostIdentity.name
        guard let name = InstanceName(text ?? machine) else {
            findings.error(
                text == nil ? node : section.place("name"),
                "peers.name",
                text == nil
                    ? "is missing, and the machine's name \"\(LogText.escaped(machine.utf8))\" is none for a service"
                    : "must be 1 to 63 letters, digits, \".\", \"-\" and \"_\", not \"\(LogText.escaped((text ?? "").utf8))\""
            )
            return nil
        }
        guard let address, hasStore else { return nil }
        guard advertised == nil, ["0.0.0.0", "::"].contains(address.host) else {
            return PeerConfiguration(name: name, address: address, advertised: advertised)
        }
        guard let own = MachineAddress.first else {
            findings.error(
                section.place("listen"),
                "peers.advertise",
                "is missing, and this machine has no address that others could dial: name one by which they reach it"
            )
            return nil
        }
        return PeerConfiguration(name: name, address: address, advertised: HostPort(host: own, port: address.port))
    }
}
