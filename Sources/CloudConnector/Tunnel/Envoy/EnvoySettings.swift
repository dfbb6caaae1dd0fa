/// What an Envoy is told of who offers a connection (Envoy's documentation, "Reverse tunnels overview", "Identifier
/// Definitions").
package struct EnvoySettings: Sendable, Equatable {
    /// This process, unlike any other; the Envoy routes by it, or by the cluster.
    package var node = ""
    /// What this process shares with others that offer the same.
    package var cluster = ""
    package var tenant = ""
    /// Of the request that offers the connection.
    package var path = defaultPath
    /// Whether the request asks for the protocol `reverse-tunnel`, as an Envoy with `use_http_upgrade` wants it.
    package var isUpgrade = false

    package static let defaultPath = "/reverse_connections/request"
    /// Bytes of each of the three.
    package static let identifierLimit = 128

    package init() {}

    /// The Envoy puts them into one text with ":" between them.
    package static func isIdentifier(_ text: String) -> Bool {
        (1...identifierLimit).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
    }

    /// - Parameter service: host and port of the Envoy.
    func head(for service: String) -> String {
        var head = "GET \(path) HTTP/1.1\r\nhost: \(service)\r\n"
        for (name, value) in [("node", node), ("cluster", cluster), ("tenant", tenant)] {
            head += "x-envoy-reverse-tunnel-\(name)-id: \(value)\r\n"
        }
        if isUpgrade { head += "connection: upgrade\r\nupgrade: reverse-tunnel\r\n" }
        return head + "content-length: 0\r\n\r\n"
    }
}
