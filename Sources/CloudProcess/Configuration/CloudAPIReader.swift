internal import CloudServices
internal import ConfigurationReading
internal import ConnectivityService
internal import DaemonSupport
internal import NIOCore
internal import TextFormats
internal import Tokens
internal import YAMLDocument

/// Reads the section `api` of `cloud.conf`.
enum CloudAPIReader {
    /// - Parameter hasStore: services share keys, secrets and destinations.
    static func read(
        _ node: YAMLNode,
        _ subaccount: String,
        hasStore: Bool,
        _ findings: Findings
    ) -> CloudAPIConfiguration {
        var section = Section(node, "api", findings)
        var api = CloudAPIConfiguration()
        if let address = section.address("listen", allowsZero: true) {
            api.address = address
        }
        api.tls = section.listenerTLS()
        api.trusted = section.trustedPeers()
        if hasStore {
            for name in ["directory", "destinations"] where section.string(name) != nil {
                findings.error(
                    section.place(name),
                    "api.\(name)",
                    "has no meaning beside a store, which has what would be in it; `connectord store copy` brings it there"
                )
            }
        } else {
            api.directory = section.required("directory", "a folder for the keys and secrets of tokens") ?? ""
            api.destinationsFolder = section.string("destinations") ?? ""
        }
        api.trustedCA = section.string("trusted-ca") ?? ""
        api.url = url(&section, api.isLoopback, findings)
        if let name = section.string("subdomain") {
            check(name, section.place("subdomain"), "api.subdomain", findings)
            api.subdomain = name
        }
        if let text = section.string("token-lifetime") {
            if let seconds = LifetimeText.parse(text), (1...7 * 86400).contains(seconds) {
                api.tokenLifetime = seconds
            } else {
                findings.error(
                    section.place("token-lifetime"),
                    "api.token-lifetime",
                    "must be a time such as 12h or 30m, from 1s to 7d, not \"\(LogText.escaped(text.utf8))\""
                )
            }
        }
        var known: Set = [subaccount]
        var names: Set = [api.subdomain.lowercased()]
        for (index, item) in section.list("tenants").enumerated() {
            var tenant = Section(item, "api.tenants[\(index)]", findings)
            let id = tenant.required("subaccount", "the ID of another subaccount") ?? ""
            let name = tenant.required("subdomain", "the first host label under which its tokens are asked for") ?? ""
            check(name, tenant.place("subdomain"), "api.tenants[\(index)].subdomain", findings)
            tenant.finish()
            if !known.insert(id).inserted || !names.insert(name.lowercased()).inserted {
                findings.error(
                    item,
                    "api.tenants[\(index)]",
                    "subaccount and subdomain must be different in each tenant"
                )
            }
            api.tenants.append(Tenant(subaccount: id, subdomain: name))
        }
        section.finish()
        return api
    }

    private static func url(
        _ section: inout Section,
        _ isLoopback: Bool,
        _ findings: Findings
    ) -> String {
        guard let text = section.string("url") else { return "" }
        let rest = ["http://", "https://"].first { text.hasPrefix($0) }.map { text.dropFirst($0.count) }
        let isPlain =
            rest?.isEmpty == false && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "?") }
        if !isPlain || text.hasSuffix("/") {
            findings.error(
                section.place("url"),
                "api.url",
                "must be an http or https URL without a slash at its end, not \"\(LogText.escaped(text.utf8))\""
            )
        } else if text.hasPrefix("http://"), !isLoopback {
            findings.warning(
                section.place("url"),
                "api.url",
                "secrets and tokens travel unencrypted; put a TLS server before api.listen and name its https URL"
            )
        }
        return text
    }

    private static func check(_ label: String, _ place: YAMLNode, _ key: String, _ findings: Findings) {
        if label.isEmpty || label.contains(".") || !HostPort.isHostName(label) {
            findings.error(place, key, "must be one host label: letters, digits and hyphens")
        }
    }
}
