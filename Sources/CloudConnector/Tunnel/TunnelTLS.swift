internal import Cryptography

/// What a connector needs for the TLS of its tunnels, read from its files once.
struct TunnelTLS: Sendable {
    /// Of the connection that it dials.
    let dialled: TLSContext
    /// Of the session within it, where the other end is an Envoy, which is the client then.
    let within: TLSContext?

    init(_ dialled: TLSConfiguration, within: TLSConfiguration?) throws(TLSError) {
        self.dialled = try TLSContext(dialled)
        if let within { self.within = try TLSContext(within) } else { self.within = nil }
    }
}
