internal import AccessPolicy
internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import PrincipalPropagation

extension ConnectorConfiguration {
    /// Whether what users need to arrive is there, for each system that takes them.
    func checkUsers(_ hasKerberos: Bool, _ findings: Findings) {
        for (index, system) in systems.enumerated() where system.authentication.mode.takesUsers {
            guard let missing = missing(for: system, hasKerberos) else { continue }
            let key = "systems[\(index)].authentication-mode"
            findings.add(.error, places[index].line, 1, key, "\(system.authentication.mode.rawValue) needs \(missing)")
        }
    }

    private func missing(for system: SystemMapping, _ hasKerberos: Bool) -> String? {
        if system.authentication.mode == .kerberos {
            if !hasKerberos { return "the section kerberos: realm, user-name and keytab" }
            return propagation == nil ? "the section principal-propagation, with whom it trusts" : nil
        }
        if propagation?.authorityCertificate.isEmpty ?? true { return "the section principal-propagation, with its ca" }
        let hasCertificate = backendTLS.certificateChain != nil || system.clientCertificate != nil
        return hasCertificate
            ? nil
            : "a system-certificate, or a client-certificate of the system, which the internal host trusts"
    }
}
