internal import CloudServices
internal import ConfigurationReading
internal import ConnectivityService
internal import DaemonSupport
internal import Glibc
internal import NIOCore
internal import TextFormats
internal import YAMLDocument

/// Reads the section `cockpit` of `cloud.conf`.
enum CockpitReader {
    static func read(_ node: YAMLNode, hasAPI: Bool, _ findings: Findings) -> CockpitConfiguration {
        var section = Section(node, "cockpit", findings)
        var cockpit = CockpitConfiguration()
        if let address = section.address("listen", allowsZero: true) {
            cockpit.address = address
        }
        cockpit.tls = section.listenerTLS()
        cockpit.trusted = section.trustedPeers()
        for item in section.list("host-names") {
            guard case .scalar(let name, _) = item.content, HostPort.isHostName(name) || name.hasPrefix("[") else {
                findings.error(
                    item,
                    "cockpit.host-names",
                    "each item must be a host name or an address, without a port"
                )
                continue
            }
            cockpit.hostNames.append(name)
        }
        if let path = section.string("password-file").map({ Credential.path($0, of: .cloud) }) {
            do throws(ConfigurationError) {
                let text = try ConfigurationFile.secret(path)
                cockpit.password = text
                var status = stat()
                if unsafe stat(path, &status) == 0, status.st_mode & 0o077 != 0 {
                    findings.warning(
                        section.place("password-file"),
                        "cockpit.password-file",
                        "others may open \(path): chmod 600 \(path)"
                    )
                }
                if text.utf8.count < 8 {
                    findings.error(section.place("password-file"), "cockpit.password-file", "holds less than 8 bytes")
                }
            } catch {
                findings.error(
                    section.place("password-file"),
                    "cockpit.password-file",
                    "\(path) \(error.findings[0].message)"
                )
            }
        } else if !cockpit.isLoopback {
            findings.error(
                section.place("listen"),
                "cockpit.password-file",
                "is missing: beyond loopback the page needs a password"
            )
        }
        if !cockpit.isLoopback, cockpit.hostNames.isEmpty {
            findings.warning(
                section.place("listen"),
                "cockpit.host-names",
                "is empty: the page is served under localhost only; name what browsers will call it"
            )
        }
        if !hasAPI { findings.error(node, "cockpit", "needs the section \"api\": the page shows its destinations") }
        section.finish()
        return cockpit
    }
}
