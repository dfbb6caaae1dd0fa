package import Cryptography
package import NIOCore
package import Networking
package import TextFormats
package import Tokens
package import TunnelCore

/// Everything the connectivity service needs to know; validated before it gets here.
package struct ServiceConfiguration: Sendable {
    /// Where programs send their requests.
    package var proxyAddress: HostPort
    /// Who is believed about clients, at each address.
    package var proxyPeers = TrustedPeers()
    package var socksPeers = TrustedPeers()
    package var tunnelPeers = TrustedPeers()
    /// Nil for plain HTTP.
    package var proxyTLS: ListenerTLS?
    package var socksTLS: ListenerTLS?
    /// Where programs open TCP connections with SOCKS5; nil for nowhere.
    package var socksAddress: HostPort?
    /// What SOCKS5 clients are checked with where requests at the proxy need no token.
    package var socksTokens: TokenVerifier?
    /// Where connectors dial in.
    package var tunnelAddress: HostPort
    package var tunnelTLS: TLSConfiguration
    /// Nil for a service that has no others beside it.
    package var peers: PeerConfiguration?
    package var namedConnectors = NamedConnectors()
    /// Of connectors that serve side by side, one that is not configured like the others gets no requests.
    package var leavesOutOthers = false
    /// Whose connectors serve requests that need no token.
    package var subaccount: String
    package var eventLoops: Int
    package var limits: HTTP1Limits
    package var tunnel: HTTP2Configuration
    package var pingInterval: TimeAmount
    package var times: ProxyTimes
    /// Client connections at once; more wait unaccepted.
    package var maxConnections: Int
    /// Requests that may wait for a free stream, per tunnel; more get 503.
    package var maxWaiting: Int
    /// What one connector or subaccount may take.
    package var tenants = TenantLimits()
    /// Bytes a second of a request's body below which it is cut; 0 for no such limit.
    package var minimumBodyRate = 50
    /// Requests need a token that this finds good, and go to the connectors of its subaccount; nil for no tokens.
    package var tokens: TokenVerifier?
    /// A client connection stays with the location ID, virtual host and principal of its first request, as SAP's proxy
    /// has it.
    package var isStrict = true
    package var connect = Connect.refuse
    /// A log line for each request.
    package var accessLog = false
    /// Spans for requests that somebody traces.
    package var isTracing = false

    package init(
        proxyAddress: HostPort = HostPort(host: "127.0.0.1", port: 20003),
        tunnelAddress: HostPort = HostPort(host: "127.0.0.1", port: 20443),
        tunnelTLS: TLSConfiguration,
        subaccount: String,
        eventLoops: Int = 1,
        limits: HTTP1Limits = HTTP1Limits(),
        tunnel: HTTP2Configuration = HTTP2Configuration(),
        pingInterval: TimeAmount = .seconds(10),
        times: ProxyTimes = ProxyTimes(),
        maxConnections: Int = 4000,
        maxWaiting: Int = 1000
    ) {
        self.proxyAddress = proxyAddress
        self.tunnelAddress = tunnelAddress
        self.tunnelTLS = tunnelTLS
        self.subaccount = subaccount
        self.eventLoops = eventLoops
        self.limits = limits
        self.tunnel = tunnel
        self.pingInterval = pingInterval
        self.times = times
        self.maxConnections = maxConnections
        self.maxWaiting = maxWaiting
    }
}

/// What becomes of a CONNECT at the proxy entry.
package enum Connect: String, CaseIterable, Sendable {
    /// 405, as SAP's proxy has it.
    case refuse
    /// It is taken, and HTTP/1.1 is read inside, each request of which the policy decides on.
    case http
}

/// Time limits of the proxy entry.
package struct ProxyTimes: Sendable, Equatable {
    /// From the first byte of a request to the end of its head.
    package var requestHead: TimeAmount
    /// Without a single byte of a request's body.
    package var requestBody: TimeAmount
    /// Between two requests on one connection.
    package var keepAlive: TimeAmount
    /// From the end of a request to the head of its response: the connector's own limits, one for each system if need be,
    /// are to be shorter, and its tunnel shows whether it lives.
    package var responseHead: TimeAmount
    /// That a request may be expected to wait for a place in a tunnel.
    package var queue: TimeAmount = .seconds(10)
    /// Without progress of a response.
    package var exchange: TimeAmount
    /// For a client to read the last answer before its connection is cut.
    package var lingering: TimeAmount
    /// For requests in flight when the service is asked to stop.
    package var drain: TimeAmount

    package init(
        requestHead: TimeAmount = .seconds(10),
        requestBody: TimeAmount = .seconds(30),
        keepAlive: TimeAmount = .seconds(60),
        responseHead: TimeAmount = .hours(1),
        exchange: TimeAmount = .seconds(330),
        lingering: TimeAmount = .seconds(2),
        drain: TimeAmount = .seconds(30)
    ) {
        self.requestHead = requestHead
        self.requestBody = requestBody
        self.keepAlive = keepAlive
        self.responseHead = responseHead
        self.exchange = exchange
        self.lingering = lingering
        self.drain = drain
    }
}
