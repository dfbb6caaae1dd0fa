/// A host, by name or address, and a port: the one place that takes `host:port` apart and puts it together.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// Without brackets, also where it is an IPv6 address.
    package var host: String
    /// 0 lets the system choose, where something listens.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// As in a URL: an IPv6 address stands in brackets (RFC 3986 section 3.2.2).
    package var description: String { "\(Self.bracketed(host)):\(port)" }

    /// Whether only programs on this machine reach what listens here.
    package var isLoopback: Bool { isLocalhost || Self.isLoopback(host.utf8) }

    /// Whether the name `localhost` reaches it.
    package var isLocalhost: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }

    /// All of 127.0.0.0/8 (RFC 6890 section 2.2.2), as four numbers and not as a name that begins like one.
    private static func isLoopback(_ host: String.UTF8View) -> Bool {
        let parts = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0].elementsEqual("127".utf8)
            && parts.allSatisfy { part in
                (1...3).contains(part.count) && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            }
    }

    /// A host as it stands in front of a port: an IPv6 address in brackets.
    package static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    /// `host`, `host:port`, `[v6]` or `[v6]:port`; the port is any number here, so that its range can be reported.
    package static func parse(_ text: String) -> (host: String, port: Int?)? {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            if rest.isEmpty { return (host, nil) }
            guard rest.hasPrefix(":"), let port = Int(rest.dropFirst()) else { return nil }
            return (host, port)
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return text.isEmpty ? nil : (text, nil) }
        let digits = text.utf8[text.utf8.index(after: colon)...]
        guard colon > text.startIndex, (1...9).contains(digits.count) else { return nil }
        var port = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            port = port * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return (String(text[..<colon]), port)
    }

    /// Letters, digits, "-", "_" and "." (at most 253 bytes, labels of at most 63), as DNS and the files of hosts have them.
    package static func isHostName(_ host: String) -> Bool {
        guard !host.isEmpty, host.utf8.count <= 253 else { return false }
        var label = 0
        for byte in host.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                label += 1
                guard label <= 63 else { return false }
            case UInt8(ascii: "."):
                guard label > 0 else { return false }
                label = 0
            default: return false
            }
        }
        return true
    }
}
