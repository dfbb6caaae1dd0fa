internal import NIOCore
internal import TunnelCore

/// Limits and times between the connector and internal hosts.
struct ForwardingConfiguration: Sendable, Equatable {
    /// To reach an internal host, name resolution and TLS included.
    var connect: TimeAmount = .seconds(5)
    /// From the end of the request to the head of the response.
    var responseHead: TimeAmount = .seconds(30)
    /// Without progress of an exchange.
    var idle: TimeAmount = .seconds(300)
    /// For an unused connection to an internal host; below what servers usually allow.
    var poolIdle: TimeAmount = .seconds(20)
    /// Without an octet in either direction on a TCP connection.
    var tcpIdle: TimeAmount = .hours(1)
    /// Connections to internal hosts, used and unused, per event loop; a request that would need one more gets 503.
    var maxConnections = 4000
    /// Unused connections to one system, per event loop.
    var poolSize = 256
    /// Connections that belong to one client's NTLM or Negotiate session, per event loop.
    var maxPinned = 256
    var pinnedIdle: TimeAmount = .seconds(60)
    /// Of an internal host's response head.
    var responseLimits = HTTP1Limits(startLine: 8192, fieldLine: 16384, head: 65536, fields: 100)
    /// Interim responses to one request.
    var maxInterim = 16
}
