/// What ends a tunnel session, or keeps a frame from being submitted.
package struct HTTP2Error: Error, Equatable, CustomStringConvertible {
    /// What kind of failure ended a session.
    package enum Code: String, Sendable {
        /// The peer broke RFC 9113 in a way that ends the connection.
        case protocolViolation
        /// The peer's frames cost more than `HTTP2Configuration.frameBudget`.
        case flood
        /// nghttp2 is out of memory or was used wrongly.
        case `internal`
        /// No stream may be opened: the session drains, or the stream limit is reached.
        case refused
    }

    package var code: Code
    package var description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    package static func == (left: HTTP2Error, right: HTTP2Error) -> Bool { left.code == right.code }
}

/// The error codes of RFC 9113 section 7 that we send or look at.
package enum HTTP2ErrorCode: UInt32, Sendable {
    case noError = 0x0
    case protocolError = 0x1
    case internalError = 0x2
    case refusedStream = 0x7
    case cancel = 0x8
    /// The connection behind a CONNECT stream broke.
    case connectError = 0xA
    case enhanceYourCalm = 0xB
}

/// Why a tunnel was given up.
package enum TunnelError: String, Error, Sendable, CustomStringConvertible {
    case silent = "the peer has not answered two pings in a row"
    case noIdentity = "the peer's certificate names no subaccount and location ID"
    case revoked = "the connector's certificate is revoked"
    case certificateExpired = "the connector's certificate has expired"
    case superseded = "superseded by a later session of the same connector"
    case control = "the peer does not keep to the protocol of the control stream"
    case tooManyTunnels = "the connector has as many tunnels as one may have"
    case flooded = "a tunnel of this connector was closed for a flood of frames a moment ago"
    case noMemory = "the service is short of memory"

    package var description: String { rawValue }
}
