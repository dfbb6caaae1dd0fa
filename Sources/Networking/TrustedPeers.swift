package import NIOCore

/// Whose word about clients counts: load balancers and TLS servers in front of a listener.
package struct TrustedPeers: Sendable, Equatable {
    package var ranges: [AddressRange] = []
    /// What comes from them begins with a header of the PROXY protocol.
    package var sendHeader = false

    package init() {}

    package func contains(_ address: SocketAddress?) -> Bool {
        guard !ranges.isEmpty, let address else { return false }
        return ranges.contains { $0.contains(address) }
    }

    /// Who a request comes from, as far as trusted peers have handed that on: each adds at the end whom it has it from.
    ///
    /// - Parameters:
    ///   - peer: at the other end of the connection.
    ///   - forwarded: values of `Forwarded` (RFC 7239), in order.
    ///   - forwardedFor: those of `X-Forwarded-For`.
    /// - Returns: nil where that is the peer itself. Where both fields are there and do not agree, one of them was written by
    ///   the client, and neither counts.
    package func client(behind peer: SocketAddress?, forwarded: [String], forwardedFor: [String]) -> SocketAddress? {
        guard contains(peer) else { return nil }
        let elements = forwarded.flatMap { $0.split(separator: ",") }.map(Self.nodeOfForwarded)
        let addresses = forwardedFor.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
            .map { Self.address(String($0)) }
        let found = (first(elements), first(addresses))
        guard !elements.isEmpty, !addresses.isEmpty else { return found.0 ?? found.1 }
        return found.0?.octets == found.1?.octets ? found.0 : nil
    }

    /// Lets a connection go on, after the header of the PROXY protocol where its other end sends one.
    ///
    /// - Parameters:
    ///   - refused: is told what is wrong with that header.
    ///   - goesOn: adds the handlers, for the client that the header names; nil for the other end itself.
    package func introduce(
        _ channel: any Channel,
        refused: @escaping (String) -> Void = { _ in },
        _ goesOn: @escaping (SocketAddress?) throws -> Void
    ) throws {
        guard sendHeader, contains(channel.remoteAddress) else { return try goesOn(nil) }
        try channel.pipeline.syncOperations.addHandler(ProxyProtocolHandler(goesOn, refused: refused))
    }

    /// From the end, the first that is no trusted peer; what stands before it is its word only.
    private func first(_ addresses: [SocketAddress?]) -> SocketAddress? {
        var last: SocketAddress?
        for address in addresses.reversed() {
            guard let address else { return last }
            last = address
            if !contains(address) { return address }
        }
        return last
    }

    private static func nodeOfForwarded(_ element: Substring) -> SocketAddress? {
        for pair in element.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].drop(while: { $0 == " " }).lowercased() == "for" else { continue }
            return address(String(parts[1]))
        }
        return nil
    }

    /// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `"[2001:db8::1]:1234"`; names and `unknown` are no addresses.
    private static func address(_ text: String) -> SocketAddress? {
        let text = text.filter { $0 != " " && $0 != "\"" && $0 != "\t" }
        let host: Substring
        if text.hasPrefix("[") {
            host = text.dropFirst().prefix { $0 != "]" }
        } else if text.count(where: { $0 == ":" }) == 1 {
            host = text.prefix { $0 != ":" }
        } else {
            host = text[...]
        }
        return try? SocketAddress(ipAddress: String(host), port: 0)
    }
}
