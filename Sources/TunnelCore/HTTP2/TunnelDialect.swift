/// How two ends of a tunnel speak HTTP/2 with each other. In each of them the connector dials, and the service sends requests.
package enum TunnelDialect: String, Sendable, CaseIterable {
    /// The acceptor sends the preface, as in draft-bt-httpbis-reverse-http-01 and draft-thomson-ptth-potato; with a control
    /// stream, if both ends know it.
    case standard
    /// HAProxy's `rhttp` (configuration manual, section "rhttp"): the dialler sends the preface, and the roles change after
    /// the first SETTINGS. There is no control stream, so what is exposed is not told.
    case haproxy
    /// Envoy's reverse tunnels (its documentation, "Reverse tunnels overview"): a request of HTTP/1.1 within TLS offers the
    /// connection, both sides leave TLS, and the acceptor begins a TLS session of its own, with HTTP/2 in it, once it has a
    /// request. Spoken by connectors only; there is no control stream.
    case envoy

    /// ALPN names (RFC 7301), the most preferred first.
    package var applicationProtocols: [String] {
        switch self {
        case .standard: ["h2-reverse", "rh2"]
        case .haproxy: ["h2"]
        case .envoy: []
        }
    }

    /// - Parameter applicationProtocol: that both ends agreed on.
    package init?(applicationProtocol: String?) {
        let dialect = Self.allCases.first { $0.applicationProtocols.contains { $0 == applicationProtocol } }
        guard let dialect else { return nil }
        self = dialect
    }

    /// Of all dialects.
    package static var applicationProtocols: [String] { allCases.flatMap(\.applicationProtocols) }

    var isPrefaceOfDialler: Bool { self == .haproxy }
    package var hasControlStream: Bool { self == .standard }
}
