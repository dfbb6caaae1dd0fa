internal import TextFormats

/// Who a connector is: the subaccount it belongs to and its location ID, as its certificate says.
package struct ConnectorIdentity: Sendable, Hashable, CustomStringConvertible {
    package var subaccount: String
    /// Case-sensitive; empty for the default connector.
    package var locationID: String

    package init(subaccount: String, locationID: String) {
        self.subaccount = subaccount
        self.locationID = locationID
    }

    private static let prefix = "connector://"

    /// The URI in a connector's certificate: `connector://<subaccount>/<location ID>`, both percent-encoded.
    package var uri: String { Self.prefix + Self.encode(subaccount) + "/" + Self.encode(locationID) }

    package init?(uri: String) {
        guard uri.hasPrefix(Self.prefix) else { return nil }
        let parts = uri.dropFirst(Self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let subaccount = Self.decode(parts[0]), let locationID = Self.decode(parts[1]),
            !subaccount.isEmpty
        else { return nil }
        self.init(subaccount: subaccount, locationID: locationID)
    }

    package var description: String { "subaccount \"\(subaccount)\", location ID \"\(locationID)\"" }

    private static func encode(_ text: String) -> String {
        PercentText.encode(text) { byte, _ in PercentText.isUnreserved(byte) && byte != UInt8(ascii: "~") }
    }

    private static func decode(_ text: Substring) -> String? { PercentText.decode(text.utf8) }
}
