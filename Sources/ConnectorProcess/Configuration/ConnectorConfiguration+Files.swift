internal import AccessPolicy
internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import DaemonSupport
internal import PrincipalPropagation
internal import TunnelCore

extension ConnectorConfiguration {
    /// What is wrong or odd with the certificates and keys that it names.
    var fileFindings: [Finding] {
        var files = CertificateFiles(file: file)
        let details = files.checkIdentity(tunnel.certificate, tunnel.privateKey, below: "tunnel")
        if let details, !isOwn(details) {
            let found = details.connector.map { "\($0)" } ?? "no connector"
            files.refuse(
                "tunnel.certificate",
                "\(tunnel.certificate) is for \(found), but this file says \(identity): enrol again, or put subaccount and "
                    + "location-id right"
            )
        }
        if let details, let fault = instanceFault(details) { files.refuse("tunnel.certificate", fault) }
        files.checkTrust([tunnel.trustedCA], "tunnel.trusted-ca")
        if case .file(let certificate)? = backendTLS.certificateChain, case .file(let key)? = backendTLS.privateKey {
            _ = files.checkIdentity(certificate, key, below: "system-certificate")
        }
        for (index, system) in systems.enumerated() {
            guard let own = system.clientCertificate else { continue }
            _ = files.checkIdentity(own.certificate, own.privateKey, below: "systems[\(index)].client-certificate")
        }
        if let propagation, !propagation.authorityCertificate.isEmpty {
            _ = files.checkIdentity(
                propagation.authorityCertificate,
                propagation.authorityKey,
                below: "principal-propagation.ca"
            )
        }
        files.checkTrust(backendTLS.trust, "backend-trust.certificates")
        return files.findings
    }
}
