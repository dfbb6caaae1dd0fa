/// Percent-encoding (RFC 3986 section 2.1).
package enum PercentText {
    package static func decode(_ text: String) -> String? { decode(text.utf8) }

    /// Escapes everything but unreserved characters.
    package static func encode(_ text: String) -> String {
        text.utf8.map { octet in
            switch octet {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                String(UnicodeScalar(octet))
            default: (octet < 16 ? "%0" : "%") + String(octet, radix: 16, uppercase: true)
            }
        }.joined()
    }

    /// Undoes "%20" and, where it is asked for, "+".
    package static func decode(_ octets: some Collection<UInt8>, plusIsSpace: Bool = false) -> String? {
        var result: [UInt8] = []
        var iterator = octets.makeIterator()
        while let octet = iterator.next() {
            switch octet {
            case UInt8(ascii: "+") where plusIsSpace: result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    return nil
                }
                result.append(high << 4 | low)
            default: result.append(octet)
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
