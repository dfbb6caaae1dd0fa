internal import AccessPolicy
internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import PrincipalPropagation

extension ConnectorConfiguration {
    /// Whether what users need to arrive is there, for each system that takes them. Where it is not, a user's request is refused; that
    /// is no reason not to take the file: administrators make a mapping first and its certificates afterwards, or the other way round.
    func checkUsers(_ hasKerberos: Bool, _ findings: Findings) {
        for (index, system) in systems.enumerated() where system.authentication.mode.takesUsers {
            guard let missing = missing(for: system, hasKerberos) else { continue }
            let key = "systems[\(index)].authentication-mode"
            findings.add(
                .warning,
                places[index].line,
                1,
                key,
                "\(system.authentication.mode.rawValue) needs \(missing); until then requests of users are refused"
            )
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
