/// What tells connectors apart that serve one location ID side by side, and services that share a store; in the certificate of each as a
/// URI.
package struct InstanceName: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// - Returns: nil for what is not 1 to 63 letters, digits, ".", "-" and "_".
    package init?(_ text: String) {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard isPlain, (1...63).contains(text.utf8.count) else { return nil }
        self.text = text
    }

    private static let prefix = "connector-instance:"

    /// `connector-instance:NAME`, beside the URI of the connector's identity.
    package var uri: String { Self.prefix + text }

    package init?(uri: String) {
        guard uri.hasPrefix(Self.prefix) else { return nil }
        self.init(String(uri.dropFirst(Self.prefix.count)))
    }

    private static let servicePrefix = "connectivity-service:"

    /// `connectivity-service:NAME`, which no connector is ever given.
    package var serviceURI: String { Self.servicePrefix + text }

    package init?(serviceURI: String) {
        guard serviceURI.hasPrefix(Self.servicePrefix) else { return nil }
        self.init(String(serviceURI.dropFirst(Self.servicePrefix.count)))
    }

    package var description: String { text }
}
