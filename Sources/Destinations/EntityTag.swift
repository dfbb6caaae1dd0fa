internal import Cryptography
internal import TextFormats

/// Entity tags as the destination service writes them: a hash without quotation marks.
package enum EntityTag {
    /// A hash of what an answer says (RFC 9110 section 8.8.3), without quotes.
    package static func of(_ bytes: [UInt8]) -> String { Hexadecimal.text(SHA256.digest(bytes)) }

    /// What a conditional request leads to (RFC 9110 section 13.2).
    package enum Verdict: Sendable { case proceed, notModified, failed }

    /// Compares with `If-Match` and `If-None-Match`, whose values may be quoted, weak, a list or `*`.
    package static func verdict(_ tag: String, ifMatch: String?, ifNoneMatch: String?) -> Verdict {
        if let ifMatch, !matches(tag, ifMatch) { return .failed }
        if let ifNoneMatch, matches(tag, ifNoneMatch) { return .notModified }
        return .proceed
    }

    private static func matches(_ tag: String, _ list: String) -> Bool {
        list.split(separator: ",").contains { item in
            var item = item[...]
            while item.first == " " { item = item.dropFirst() }
            while item.last == " " { item = item.dropLast() }
            if item.hasPrefix("W/") { item = item.dropFirst(2) }
            if item.count >= 2, item.first == "\"", item.last == "\"" { item = item.dropFirst().dropLast() }
            return item == "*" || item == tag
        }
    }
}
