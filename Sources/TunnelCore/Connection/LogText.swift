/// Octets from outside, made fit for one line of a log or a message.
package enum LogText {
    /// Octets of one value; what is longer is cut and marked.
    package static let limit = 1024

    /// Visible ASCII and space as they are; everything else, and the backslash, as `\xNN`.
    package static func escaped(_ octets: some Sequence<UInt8>) -> String {
        var text = ""
        var count = 0
        for octet in octets {
            count += 1
            if count > limit {
                text += "…"
                break
            }
            if octet >= 0x20, octet < 0x7F, octet != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(octet))
            } else {
                text += "\\x" + (octet < 16 ? "0" : "") + String(octet, radix: 16)
            }
        }
        return text
    }
}
