/// Octet classes of RFC 3986 and RFC 9110, as tables, so that a check costs one load per octet.
package enum ASCII {
    /// `pchar` or "/" (RFC 3986 section 3.3): what a raw path may hold.
    static let isPathOctet: [Bool] = table("-._~!$&'()*+,;=:@%/", digits: true, letters: true)
    /// Octets of a host name that can name a system: letters, digits, ".", "-", "_" and "~".
    static let isHostOctet: [Bool] = table("-._~", digits: true, letters: true)

    private static func table(_ extra: String, digits: Bool, letters: Bool) -> [Bool] {
        var table = [Bool](repeating: false, count: 256)
        for octet in extra.utf8 { table[Int(octet)] = true }
        if digits { for octet in UInt8(ascii: "0")...UInt8(ascii: "9") { table[Int(octet)] = true } }
        if letters {
            for octet in UInt8(ascii: "a")...UInt8(ascii: "z") {
                table[Int(octet)] = true
                table[Int(octet) - 32] = true
            }
        }
        return table
    }

    @inline(__always)
    package static func lowercased(_ octet: UInt8) -> UInt8 {
        octet &- UInt8(ascii: "A") < 26 ? octet | 0x20 : octet
    }

    @inline(__always)
    package static func hexValue(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
