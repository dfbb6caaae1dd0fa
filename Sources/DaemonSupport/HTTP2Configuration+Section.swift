package import ConfigurationReading
package import Cryptography
package import TunnelCore

/// The limits of a tunnel session, in whichever file they stand.
package func readHTTP2(_ section: inout Section) -> HTTP2Configuration {
    var http2 = HTTP2Configuration()
    http2.maxConcurrentStreams = section.integer("max-streams", http2.maxConcurrentStreams, in: 1...10000)
    http2.streamWindow = section.integer("stream-window-kib", http2.streamWindow >> 10, in: 64...16384) << 10
    http2.maxStreamWindow = max(
        http2.streamWindow,
        section.integer("max-stream-window-kib", http2.maxStreamWindow >> 10, in: 64...16384) << 10
    )
    http2.windowBudget = section.integer("window-budget-kib", http2.windowBudget >> 10, in: 0...1_048_576) << 10
    return http2
}

extension Section {
    /// `minimum-tls` of a tunnel, which never speaks what RFC 8996 has abolished.
    package mutating func tunnelTLS() -> TLSConfiguration.Version {
        let version = choice("minimum-tls", TLSConfiguration.Version.self) ?? .tls13
        guard version == .tls10 || version == .tls11 else { return version }
        findings.error(place("minimum-tls"), path("minimum-tls"), "a tunnel speaks TLS 1.2 or 1.3 only")
        return .tls13
    }
}
