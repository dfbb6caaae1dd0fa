package import NIOCore
package import TunnelCore

/// Limits and times between the connector and internal hosts.
package struct ForwardingConfiguration: Sendable, Equatable {
    /// To reach an internal host, name resolution and TLS included.
    package var connect: TimeAmount = .seconds(5)
    /// From the end of the request to the head of the response; reports take minutes. A mapping may have its own.
    package var responseHead: TimeAmount = .minutes(5)
    /// Without progress of an exchange.
    package var idle: TimeAmount = .seconds(300)
    /// For an unused connection to an internal host; below what servers usually allow.
    package var poolIdle: TimeAmount = .seconds(20)
    /// Without a byte in either direction on a TCP connection.
    package var tcpIdle: TimeAmount = .hours(1)
    /// The same for WebSocket.
    package var webSocketIdle: TimeAmount = .hours(1)
    /// Connections to internal hosts, used and unused, per event loop; a request that would need one more gets 503.
    package var maxConnections = 4000
    /// Unused connections to one system, per event loop.
    var poolSize = 256
    /// Connections that belong to one client's NTLM or Negotiate session, per event loop.
    var maxPinned = 256
    var pinnedIdle: TimeAmount = .seconds(60)
    /// Of an internal host's response head.
    package var responseLimits = HTTP1Limits(startLine: 8192, fieldLine: 16384, head: 65536, fields: 1000)
    /// Interim responses to one request.
    var maxInterim = 16

    package init() {}
}
