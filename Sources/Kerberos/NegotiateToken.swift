/// The token that stands behind `Negotiate` (RFC 4559 section 4): a Kerberos token in the first message of SPNEGO (RFC 4178 section 4.2.1).
enum NegotiateToken {
    private static let spnego: [UInt8] = [0x06, 0x06, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x02]
    private static let kerberos: [UInt8] = [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02]

    /// - Parameter token: of the Kerberos mechanism, with the frame of RFC 2743 section 3.1.
    static func wrap(_ token: [UInt8]) -> [UInt8] {
        let mechanisms = element(0xA0, element(0x30, kerberos))
        let message = element(0xA0, element(0x30, mechanisms + element(0xA2, element(0x04, token))))
        return element(0x60, spnego + message)
    }

    /// DER (X.690 sections 8.1.3 and 10.1).
    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        if content.count < 0x80 {
            length = [UInt8(content.count)]
        } else {
            var rest = content.count
            while rest > 0 {
                length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
                rest >>= 8
            }
            length.insert(0x80 | UInt8(length.count), at: 0)
        }
        return [tag] + length + content
    }
}
