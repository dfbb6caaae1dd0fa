internal import CloudServices
internal import ConfigurationReading
internal import ConnectivityService
internal import Cryptography
internal import DaemonSupport
internal import Networking
internal import TextFormats

extension CloudConfiguration {
    /// What is wrong or odd with the certificates and keys that it names.
    var fileFindings: [Finding] {
        var files = CertificateFiles(file: file)
        let tls = service.tunnelTLS
        if case .file(let certificate)? = tls.certificateChain, case .file(let key)? = tls.privateKey {
            files.checkIdentity(certificate, key, below: "tunnel")
        }
        files.checkTrust(tls.trust, "tunnel.trusted-ca")
        for (key, tls) in [
            ("proxy", service.proxyTLS), ("socks", service.socksTLS), ("api", api?.tls), ("cockpit", cockpit?.tls),
        ] {
            guard let tls else { continue }
            files.checkIdentity(tls.certificate, tls.privateKey, below: "\(key).tls")
            if !tls.clientCA.isEmpty { files.checkTrust([tls.clientCA], "\(key).tls.client-ca") }
        }
        return files.findings
    }

    /// The addresses that it listens on, by the keys that name them.
    private var listeners: [(key: String, address: HostPort)] {
        let optional: [(String, HostPort?)] = [
            ("proxy.listen", service.proxyAddress), ("tunnel.listen", service.tunnelAddress),
            ("socks.listen", service.socksAddress), ("api.listen", api?.address), ("cockpit.listen", cockpit?.address),
            ("admin.metrics", process.metrics),
        ]
        return optional.compactMap { key, address in address.map { (key, $0) } }
    }

    /// Two keys for one address: only the first could have it.
    var clashes: [(key: String, other: String, address: HostPort)] {
        var found: [(String, String, HostPort)] = []
        for (index, one) in listeners.enumerated() where one.address.port != 0 {
            let twin = listeners[..<index].first { other in
                other.address.port == one.address.port
                    && (other.address.host == one.address.host || isWildcard(other.address) || isWildcard(one.address))
            }
            if let twin { found.append((one.key, twin.key, one.address)) }
        }
        return found
    }

    private func isWildcard(_ address: HostPort) -> Bool { ["0.0.0.0", "::", "*"].contains(address.host) }
}
