/// Byte classes of RFC 3986 and RFC 9110, as tables, so that a check costs one load per byte.
package enum ASCII {
    /// `pchar` or "/" (RFC 3986 section 3.3): what a raw path may hold. "p" for each byte that is one; text among the
    /// program's constants costs one load, where a lazily made array would cost a check and a reference count.
    private static var pathBytes: StaticString {
        """
        ---------------------------------p--pppppppppppppppppppppppp-p--\
        ppppppppppppppppppppppppppp----p-pppppppppppppppppppppppppp---p-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    /// Letters, digits, ".", "-", "_" and "~": what a host name can hold. "h" for each byte that is one.
    private static var hostBytes: StaticString {
        """
        ---------------------------------------------hh-hhhhhhhhhh------\
        -hhhhhhhhhhhhhhhhhhhhhhhhhh----h-hhhhhhhhhhhhhhhhhhhhhhhhhh---h-\
        ----------------------------------------------------------------\
        ----------------------------------------------------------------
        """
    }

    @inline(__always)
    static func isPathByte(_ byte: UInt8) -> Bool { unsafe pathBytes.utf8Start[Int(byte)] == UInt8(ascii: "p") }

    @inline(__always)
    static func isHostByte(_ byte: UInt8) -> Bool { unsafe hostBytes.utf8Start[Int(byte)] == UInt8(ascii: "h") }

    /// Of an ASCII letter; every other byte stays as it is.
    @inline(__always)
    package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }

    /// 0 to 15 for a hexadecimal digit in either case, nil for anything else (RFC 3986 section 2.1).
    @inline(__always)
    package static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
