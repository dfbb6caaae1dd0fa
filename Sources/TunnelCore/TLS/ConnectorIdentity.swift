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
        var result = ""
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                result.unicodeScalars.append(Unicode.Scalar(octet))
            default:
                result += "%" + (octet < 16 ? "0" : "") + String(octet, radix: 16, uppercase: true)
            }
        }
        return result
    }

    private static func decode(_ text: Substring) -> String? {
        var octets: [UInt8] = []
        var rest = text.utf8[...]
        while let octet = rest.popFirst() {
            if octet == UInt8(ascii: "%") {
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                octets.append(value)
                rest = rest.dropFirst(2)
            } else {
                octets.append(octet)
            }
        }
        return String(validating: octets, as: UTF8.self)
    }
}
