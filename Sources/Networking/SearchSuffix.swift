internal import HostSystem
internal import NIOCore

/// Names that are whole only with a suffix of the resolver's search list: on another machine they may be another host, or none.
///
/// Source: resolv.conf(5), "search".
package enum SearchSuffix {
    /// The suffix with which a name is found here, where it is no name by itself. Asks name servers, so it takes its time.
    package static func find(_ host: String) -> String? {
        let text = (try? PlainFile.read("/etc/resolv.conf", maxBytes: 1 << 16)) ?? []
        return find(host, suffixes: suffixes(String(decoding: text, as: UTF8.self))) { name in
            Set(((try? AddressResolver.lookUp(name, 0)) ?? []).compactMap(\.ipAddress))
        }
    }

    /// Of the last line that has any.
    static func suffixes(_ configuration: String) -> [String] {
        var suffixes: [String] = []
        for line in configuration.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let first = words.first, ["search", "domain"].contains(first) else { continue }
            suffixes = words.dropFirst().map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }.filter { !$0.isEmpty }
        }
        return suffixes
    }

    static func find(_ host: String, suffixes: [String], _ addresses: (String) -> Set<String>) -> String? {
        guard !suffixes.isEmpty, !host.hasSuffix("."), (try? SocketAddress(ipAddress: host, port: 0)) == nil else {
            return nil
        }
        let found = addresses(host)
        // With a point at its end a name is whole; one of /etc/hosts has no suffix that leads to the same addresses.
        guard !found.isEmpty, addresses(host + ".").isEmpty else { return nil }
        return suffixes.first { addresses("\(host).\($0).") == found }
    }
}
