/// How tunnels are told from other TLS connections.
package enum TunnelProtocol {
    /// The ALPN name (RFC 7301) of HTTP/2 with reversed roles in which the acceptor sends the preface, as in
    /// draft-bt-httpbis-reverse-http-01.
    package static let name = "h2-reverse"
}
