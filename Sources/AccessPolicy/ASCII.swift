/// Octet classes of RFC 3986 and RFC 9110, as tables, so that a check costs one load per octet.
package enum ASCII {
    /// `pchar` or "/" (RFC 3986 section 3.3): what a raw path may hold. "p" for each octet that is one; text among the
    /// program's constants costs one load, where a lazily made array would cost a check and a reference count.
    private static var pathOctets: StaticString {
        """
        ---------------------------------p--pppppppppppppppppppppppp-p--\
        ppppppppppppppppppppppppppp----p-pppppppppppppppppppppppppp---p-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    /// Letters, digits, ".", "-", "_" and "~": what a host name can hold. "h" for each octet that is one.
    private static var hostOctets: StaticString {
        """
        ---------------------------------------------hh-hhhhhhhhhh------\
        -hhhhhhhhhhhhhhhhhhhhhhhhhh----h-hhhhhhhhhhhhhhhhhhhhhhhhhh---h-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    @inline(__always)
    static func isPathOctet(_ octet: UInt8) -> Bool { pathOctets.utf8Start[Int(octet)] == UInt8(ascii: "p") }

    @inline(__always)
    static func isHostOctet(_ octet: UInt8) -> Bool { hostOctets.utf8Start[Int(octet)] == UInt8(ascii: "h") }

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
