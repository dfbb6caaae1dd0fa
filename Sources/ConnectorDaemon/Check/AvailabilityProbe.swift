internal import AccessPolicy
internal import ControlProtocol
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Telemetry
internal import TunnelCore

/// One look at one internal host: `HEAD /` for HTTP and HTTPS, a connection for TCP, a handshake for TCPS.
///
/// Source: SAP Cloud Connector, "Check availability of internal host". Any HTTP status counts as reachable.
enum AvailabilityProbe {
    /// What cannot be told from an error of the connection alone.
    private enum Failure: Error {
        case timeout(TimeAmount)
        case notHTTP(String)
        case closed
    }

    /// - Returns: how long it took.
    static func run(
        _ target: AvailabilityTarget,
        tls: TLSContext,
        timeout: TimeAmount,
        on eventLoop: any EventLoop
    ) async -> Availability {
        let start = NIODeadline.now()
        do {
            try await connect(target, tls, timeout, eventLoop)
            let took = Double((NIODeadline.now() - start).nanoseconds / 1000) / 1000
            return Availability(state: .reachable, checkedAt: WallClock.seconds(), milliseconds: took)
        } catch {
            let (kind, cause) = explain(error, target)
            return Availability(state: .notReachable, cause: cause, kind: kind, checkedAt: WallClock.seconds())
        }
    }

    private static func connect(
        _ target: AvailabilityTarget,
        _ tls: TLSContext,
        _ timeout: TimeAmount,
        _ eventLoop: any EventLoop
    ) async throws {
        let promise = eventLoop.makePromise(of: Void.self)
        let timer = eventLoop.scheduleTask(in: timeout) { promise.fail(Failure.timeout(timeout)) }
        let connecting = ClientBootstrap(group: eventLoop)
            .resolver(HostResolver(on: eventLoop))
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if target.isTLS {
                        try channel.pipeline.syncOperations.addHandler(
                            TLSHandler(
                                tls,
                                serverName: target.host,
                                peer: "the internal host",
                                handshakeTimeout: timeout
                            )
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(ProbeHandler(target, promise))
                }
            }
            .connect(host: target.host, port: target.port)
        connecting.whenFailure { promise.fail($0) }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        try await promise.futureResult.get()
    }

    private final class ProbeHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let target: AvailabilityTarget
        private let promise: EventLoopPromise<Void>
        private var parser = HTTP1HeadParser(.response, limits: HTTP1Limits())
        private var received = ByteBuffer()

        init(_ target: AvailabilityTarget, _ promise: EventLoopPromise<Void>) {
            self.target = target
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            if !target.isTLS { connected(context) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is TLSEstablished { connected(context) }
        }

        private func connected(_ context: ChannelHandlerContext) {
            guard target.isHTTP else { return promise.succeed() }
            let head =
                "HEAD / HTTP/1.1\r\nHost: \(target.authority)\r\n"
                + "User-Agent: connectord/\(Version.current) (availability check)\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard target.isHTTP else { return }
            var buffer = unwrapInboundIn(data)
            received.writeBuffer(&buffer)
            do throws(HTTP1Error) {
                let isComplete = try received.withUnsafeReadableBytes { (octets) throws(HTTP1Error) in
                    try parser.parse(octets)
                }
                if isComplete { promise.succeed() }
            } catch {
                promise.fail(Failure.notHTTP(error.rawValue))
            }
        }

        func channelInactive(context: ChannelHandlerContext) { promise.fail(Failure.closed) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    }

    // MARK: What to do about it

    static func explain(_ error: any Error, _ target: AvailabilityTarget) -> (kind: String, cause: String) {
        switch error {
        case Failure.timeout(let limit):
            return (
                "timeout",
                "no answer within \(DurationText.format(limit)): is a firewall between the connector and "
                    + "\(target.address), or is the host overloaded?"
            )
        case Failure.notHTTP(let reason):
            return ("protocol", "the answer is not HTTP (\(reason)): is \(target.protocol) the right protocol?")
        case Failure.closed:
            return (
                "protocol", "the connection was closed without an answer: is \(target.protocol) the right protocol?"
            )
        case let error as IOError where error.errnoCode == ECONNRESET && target.isTLS:
            return (
                "tls",
                "the connection was reset: does it speak TLS on this port? If not, the protocol is HTTP or TCP"
            )
        case let error as IOError where error.errnoCode == ECONNRESET:
            return (
                "protocol",
                "the connection was reset without an answer: is \(target.protocol) the right protocol?"
            )
        case let error as TLSError:
            return ("tls", "\(error.description): \(adviceForTLS(error))")
        default:
            let (cause, token, _) = BackendRefusal.explain(error)
            switch token.description {
            case "dns_error": return ("name", "\(cause): check internal-host and the connector's name servers")
            case "connection_refused":
                return ("refused", "connection refused: does the server listen on \(target.address)?")
            case "connection_timeout":
                return ("timeout", "\(cause): is a firewall between the connector and \(target.address)?")
            case "destination_ip_unroutable": return ("unroutable", "\(cause): check the connector's routes")
            default: return ("connect", cause)
            }
        }
    }

    private static func adviceForTLS(_ error: TLSError) -> String {
        switch error.code {
        case .peerCertificate: "name the authority that signed it in backend-trust.certificates"
        case .peerName: "use the name in the certificate as internal-host"
        case .refusedByPeer: "it may demand a client certificate or another version of TLS"
        case .protocolViolation, .closedDuringHandshake:
            "does it speak TLS on this port? If not, the protocol is HTTP or TCP"
        default: "see the log of the internal host"
        }
    }
}

/// An internal host, port and protocol. One result counts for all mappings that share them.
struct AvailabilityTarget: Hashable, Sendable {
    var host: String
    var port: Int
    var `protocol`: String
    var isHTTP: Bool
    var isTLS: Bool
    var authority: String

    init(_ system: SystemMapping) {
        host = system.internalHost
        port = Int(system.internalPort)
        `protocol` = system.protocol.rawValue
        isHTTP = system.protocol.isHTTP
        isTLS = system.protocol.isTLS
        authority = String(decoding: system.internalAuthority, as: UTF8.self)
    }

    var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
