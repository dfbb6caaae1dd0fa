internal import NIOCore
internal import TunnelCore

/// Why an Envoy's connection does not become a tunnel.
struct EnvoyError: Error, CustomStringConvertible, Equatable {
    var description: String

    init(_ description: String) { self.description = description }

    init(status: UInt16, _ settings: EnvoySettings) {
        let advice =
            switch status {
            case 400: "it misses identifiers: is it of a version whose fields have other names?"
            case 401: "it wants a token of its clients, which is not sent: leave the certificate to say who comes"
            case 403:
                "it does not take node \(settings.node), cluster \(settings.cluster), tenant \(settings.tenant) from this "
                    + "certificate: see \"validation\" there and tunnel.envoy here"
            case 404:
                "it takes no reverse tunnels at \(settings.path): see \"request_path\" there and tunnel.envoy.path here"
            case 426: "it wants an upgrade: set tunnel.envoy.upgrade: true"
            case 429, 503: "it takes no more connections now"
            default: "its log says why"
            }
        self.init("the Envoy answered \(status) to the offer of a reverse tunnel: \(advice)")
    }
}

/// A connection that is offered to an Envoy, up to the first octet of the TLS session in which it sends requests.
///
///     offered ──200, 101──▶ waiting ──a TLS record──▶ taken
///                           ▲    │
///                           └────┴── RPING, which is echoed
///
/// From `waiting` on the octets are on the bare connection. Whoever sits on the way could send some of their own: all that comes
/// to be believed is a TLS session whose certificates are checked on both sides, and clear text is refused.
struct EnvoyOffer: ~Copyable {
    enum Found: Equatable {
        case nothing
        /// The connection is taken into the Envoy's store; both sides leave TLS.
        case accepted
        /// So many have to be echoed.
        case pings(Int)
        /// From this octet on; those before it were pings.
        case tls(at: Int, pings: Int)
    }

    private enum State { case offered, waiting, taken }

    private let settings: EnvoySettings
    private var state = State.offered
    private var parser = HTTP1HeadParser(.response, limits: HTTP1Limits())
    private var head = ByteBuffer()
    /// Octets of a ping that has come in part.
    private var matched = 0
    private var pingCount = 0
    private var windowStart = NIODeadline.distantPast

    /// Of an Envoy in thirty seconds: its `ping_interval` is 2 s unless it is set.
    static let pingLimit = 1000
    private static let window = TimeAmount.seconds(30)

    static let ping: StaticString = "RPING"
    private static let tlsHandshake: UInt8 = 22

    init(_ settings: EnvoySettings) { self.settings = settings }

    var isWaiting: Bool { state == .waiting }

    mutating func receive(_ bytes: UnsafeRawBufferPointer, now: NIODeadline) throws -> Found {
        switch state {
        case .offered: try unsafe receiveAnswer(bytes)
        case .waiting: try unsafe receiveIdle(bytes, now)
        case .taken: .nothing
        }
    }

    private mutating func receiveAnswer(_ bytes: UnsafeRawBufferPointer) throws -> Found {
        unsafe head.writeBytes(bytes)
        let received = head
        let isComplete: Bool
        do throws(HTTP1Error) {
            isComplete = try unsafe received.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
                try unsafe parser.parse(bytes)
            }
        } catch {
            throw EnvoyError("what answers the offer of a reverse tunnel does not speak HTTP: \(error.rawValue)")
        }
        guard isComplete else { return .nothing }
        guard parser.status == 200 || (parser.status == 101 && settings.isUpgrade) else {
            throw EnvoyError(status: parser.status, settings)
        }
        guard parser.headLength == received.readableBytes else {
            throw EnvoyError("the answer to the offer of a reverse tunnel has a body: this is no Envoy's")
        }
        state = .waiting
        head = ByteBuffer()
        parser.reset()
        return .accepted
    }

    private mutating func receiveIdle(_ bytes: UnsafeRawBufferPointer, _ now: NIODeadline) throws -> Found {
        var pings = 0
        for index in bytes.indices {
            let byte = unsafe bytes[index]
            if unsafe byte == Self.ping.utf8Start[matched] {
                matched += 1
                guard matched == Self.ping.utf8CodeUnitCount else { continue }
                matched = 0
                pings += 1
                continue
            }
            guard matched == 0, byte == Self.tlsHandshake else { throw Self.notTLS(byte, isPart: matched > 0) }
            state = .taken
            return .tls(at: index, pings: pings)
        }
        try count(pings, now)
        return pings > 0 ? .pings(pings) : .nothing
    }

    private mutating func count(_ pings: Int, _ now: NIODeadline) throws {
        if now - windowStart > Self.window { (windowStart, pingCount) = (now, 0) }
        pingCount += pings
        guard pingCount <= Self.pingLimit else {
            throw HTTP2Error(.flood, "more than \(Self.pingLimit) RPING in 30 seconds")
        }
    }

    private static func notTLS(_ byte: UInt8, isPart: Bool) -> EnvoyError {
        guard byte == UInt8(ascii: "P"), !isPart else {
            return EnvoyError("on a reverse tunnel came neither RPING nor TLS: this is no Envoy's")
        }
        return EnvoyError(
            "the Envoy sends requests in clear text, which anybody on the way could write: give its cluster of the type "
                + "envoy.clusters.reverse_connection a transport_socket with TLS and a certificate"
        )
    }
}
