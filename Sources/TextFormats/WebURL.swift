/// An `http` or `https` URL, taken apart.
package struct WebURL: Sendable, Equatable {
    package var isTLS: Bool
    package var host: String
    package var port: Int
    /// With the query; "/" where there is none.
    package var path: String
    /// "host" or "host:port", as written.
    package var authority: String

    /// - Returns: nil for other schemes, a missing host, user information or a bad port.
    package init?(_ text: String) {
        let scheme = ["http://", "https://"].first { text.lowercased().hasPrefix($0) }
        guard let scheme, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        isTLS = scheme == "https://"
        var rest = text.dropFirst(scheme.count)
        if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        authority = String(rest[..<end])
        let tail = rest[end...]
        path = tail.hasPrefix("/") ? String(tail) : "/" + tail
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        let parts = Self.split(authority)
        guard let parts, !parts.host.isEmpty else { return nil }
        host = parts.host
        if let digits = parts.port {
            guard let number = Int(digits), (1...65535).contains(number) else { return nil }
            port = number
        } else {
            port = isTLS ? 443 : 80
        }
    }

    /// The URL with a path below its own, and with the queries of both (RFC 3986 section 5.2.3: a path is joined to a path).
    ///
    /// - Parameters:
    ///   - target: path and query, the path with a slash in front.
    ///   - more: further pairs of the query; empty for none.
    package func appending(_ target: String, _ more: String = "") -> WebURL {
        func parts(_ text: String) -> (path: Substring, query: Substring) {
            guard let mark = text.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (text[...], "") }
            return (text[..<mark], text[text.index(after: mark)...])
        }
        let (own, added) = (parts(path), parts(target))
        var base = own.path
        while base.hasSuffix("/") { base.removeLast() }
        let queries = [own.query, added.query, more[...]].filter { !$0.isEmpty }
        var result = self
        let joined = added.path.isEmpty ? String(own.path) : base + (added.path.hasPrefix("/") ? "" : "/") + added.path
        result.path = (joined.isEmpty ? "/" : joined) + (queries.isEmpty ? "" : "?" + queries.joined(separator: "&"))
        return result
    }

    private static func split(_ authority: String) -> (host: String, port: String?)? {
        var host = authority[...]
        var port: String?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : String(rest.dropFirst())
        } else if let colon = authority.lastIndex(of: ":") {
            (host, port) = (authority[..<colon], String(authority[authority.index(after: colon)...]))
            guard !host.contains(":") else { return nil }
        }
        return (String(host), port?.isEmpty == true ? nil : port)
    }
}
