/// Bytes from outside, made fit for one line of a log or a message.
package enum LogText {
    /// Bytes of one value; what is longer is cut and marked.
    package static let limit = 1024

    /// Visible ASCII and space as they are; everything else, and the backslash, as `\xNN`.
    package static func escaped(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        var count = 0
        for byte in bytes {
            count += 1
            if count > limit {
                text += "…"
                break
            }
            if byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }

    /// A request target, or a path with its query, without what may hold a secret: user and password before the host, and
    /// the query. An ellipsis stands where there was one.
    package static func target(_ bytes: some BidirectionalCollection<UInt8>) -> String {
        let kept = bytes.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        let query = kept.count < bytes.count ? "?…" : ""
        let slash = UInt8(ascii: "/")
        var scheme = kept.prefix(0)
        var rest = kept[...]
        if kept.first != slash, let first = kept.firstIndex(of: slash),
            kept[first...].dropFirst().first == slash
        {
            let start = kept.index(first, offsetBy: 2)
            (scheme, rest) = (kept[..<start], kept[start...])
        }
        let authority = rest.prefix { $0 != slash }
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return escaped(kept) + query }
        return escaped(scheme) + "…" + escaped(rest[at...]) + query
    }
}
