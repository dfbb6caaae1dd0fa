package import Networking
package import TextFormats

/// Where people and their programs administer a connector, and how long they may.
package struct AdministrationSettings: Sendable, Equatable {
    /// Nil for nowhere.
    package var listen: HostPort? = HostPort(host: "127.0.0.1", port: 8443)
    /// For users, the page's certificate, and certificates that came through the API.
    package var folder = ""
    /// Where connectors of the same identity fetch the file; nil for nowhere.
    package var replication: HostPort?
    /// Under which it is called, beside addresses and `localhost`.
    package var hostNames: [String] = []
    /// Proxies that are believed about clients.
    package var trusted = TrustedPeers()
    /// Seconds that a session on the page lasts without a request.
    package var idle = 900
    /// Seconds that it lasts at all.
    package var life = 12 * 3600

    package init() {}

    /// Whether a request came under one of the page's names. Names of others would be those of a page that plays with the name
    /// system to read what is on this network ("DNS rebinding"); an address is nobody's name.
    ///
    /// - Parameter host: in lower case, without a port.
    func isNamed(_ host: String) -> Bool {
        if host == "localhost" || host.hasPrefix("[") { return true }
        if host.split(separator: ".").count == 4, host.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }) {
            return true
        }
        return hostNames.contains { $0.lowercased() == host } || listen?.host.lowercased() == host
    }
}
