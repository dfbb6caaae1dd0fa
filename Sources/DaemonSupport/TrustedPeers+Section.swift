package import ConfigurationReading
package import Networking
internal import TextFormats
internal import YAMLDocument

extension Section {
    /// A list of addresses and networks.
    package mutating func addressRanges(_ name: String) -> [AddressRange] {
        var ranges: [AddressRange] = []
        for item in list(name) {
            if case .scalar(let text, _) = item.content, let range = AddressRange(text) {
                ranges.append(range)
            } else {
                findings.error(
                    item,
                    path(name),
                    "each item must be an IP address, or a network such as 10.1.0.0/16 whose address ends with its prefix"
                )
            }
        }
        return ranges
    }

    /// `trusted-proxies` and `proxy-protocol` of a listener.
    ///
    /// - Parameter needsHeader: nothing but that header could say who a client is.
    package mutating func trustedPeers(needsHeader: Bool = false) -> TrustedPeers {
        var peers = TrustedPeers()
        peers.ranges = addressRanges("trusted-proxies")
        peers.sendHeader = flag("proxy-protocol", needsHeader && !peers.ranges.isEmpty)
        if peers.sendHeader, peers.ranges.isEmpty {
            findings.error(
                place("proxy-protocol"),
                path("proxy-protocol"),
                "needs trusted-proxies: whoever may send that header may claim any address"
            )
        }
        if needsHeader, !peers.sendHeader, !peers.ranges.isEmpty {
            findings.error(
                place("proxy-protocol"),
                path("proxy-protocol"),
                "must be true here: there is no other way to hear of clients behind trusted-proxies"
            )
        }
        return peers
    }
}
