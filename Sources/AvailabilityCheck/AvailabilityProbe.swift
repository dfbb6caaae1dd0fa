internal import AccessPolicy
internal import AdminProtocol
internal import ControlProtocol
internal import Cryptography
internal import Glibc
internal import HostSystem
internal import NIOCore
internal import NIOPosix
internal import Networking
internal import TextFormats
internal import TunnelCore

/// One look at one internal host: `HEAD /` for HTTP and HTTPS, a connection for TCP, a handshake for TCPS.
///
/// Source: SAP Cloud Connector, "Check availability of internal host". Any HTTP status counts as reachable.
enum AvailabilityProbe {
    /// What cannot be told from an error of the connection alone.
    private enum ProbeError: Error {
        case timeout(TimeAmount)
        case notHTTP(String)
        case closed
    }

    /// What a look has come to.
    enum Stage: Sendable {
        case connected
        case secured(TLSEstablished, chain: [CertificateDetails])
        case answered(status: Int)
    }

    /// Called on the event loop.
    typealias Observer = @Sendable (Stage) -> Void

    /// - Returns: how long it took.
    static func run(
        _ target: AvailabilityTarget,
        tls: BackendTLS,
        timeout: TimeAmount,
        on eventLoop: any EventLoop,
        observer: @escaping Observer = { _ in }
    ) async -> Availability {
        let start = NIODeadline.now()
        do {
            try await connect(target, tls, timeout, eventLoop, observer)
            let took = Double((NIODeadline.now() - start).nanoseconds / 1000) / 1000
            return Availability(state: .reachable, checkedAt: WallClock.seconds(), milliseconds: took)
        } catch {
            let (kind, cause) = explain(error, target)
            return Availability(state: .notReachable, cause: cause, kind: kind, checkedAt: WallClock.seconds())
        }
    }

    private static func connect(
        _ target: AvailabilityTarget,
        _ tls: BackendTLS,
        _ timeout: TimeAmount,
        _ eventLoop: any EventLoop,
        _ observer: @escaping Observer
    ) async throws {
        let promise = eventLoop.makePromise(of: Void.self)
        let progress = NIOLoopBoundBox.makeBoxSendingValue(false, eventLoop: eventLoop)
        let timer = eventLoop.scheduleTask(in: timeout) {
            // Connected, and then nothing: what a request would be told.
            let isSilent = progress.value && target.isTLS
            promise.fail(isSilent ? TLSHandler.timeout(by: "the internal host") : ProbeError.timeout(timeout))
        }
        let connecting = ClientBootstrap(group: eventLoop)
            .resolver(HostResolver(on: eventLoop))
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionNote {
                            progress.value = $0
                            observer(.connected)
                        }
                    )
                    if target.isTLS {
                        try channel.pipeline.syncOperations.addHandler(
                            TLSHandler(
                                tls.context(target.clientCertificate),
                                serverName: target.host,
                                peer: "the internal host",
                                handshakeTimeout: timeout
                            )
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(ProbeHandler(target, promise, observer))
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

    /// Notes whether there is a connection, and TLS is not through yet.
    private final class ConnectionNote: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let note: (Bool) -> Void

        init(_ note: @escaping (Bool) -> Void) { self.note = note }

        func channelActive(context: ChannelHandlerContext) {
            note(true)
            context.fireChannelActive()
        }
    }

    private final class ProbeHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let target: AvailabilityTarget
        private let promise: EventLoopPromise<Void>
        private var parser = HTTP1HeadParser(.response, limits: HTTP1Limits())
        private var received = ByteBuffer()
        private let observer: Observer

        init(_ target: AvailabilityTarget, _ promise: EventLoopPromise<Void>, _ observer: @escaping Observer) {
            self.target = target
            self.promise = promise
            self.observer = observer
        }

        func channelActive(context: ChannelHandlerContext) {
            if !target.isTLS { connected(context) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard let tls = event as? TLSEstablished else { return }
            let handler = try? context.pipeline.syncOperations.handler(type: TLSHandler.self)
            observer(.secured(tls, chain: handler?.verifiedChain ?? []))
            connected(context)
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
                let isComplete = try unsafe received.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
                    try unsafe parser.parse(bytes)
                }
                guard isComplete else { return }
                observer(.answered(status: Int(parser.status)))
                promise.succeed()
            } catch {
                promise.fail(ProbeError.notHTTP(error.rawValue))
            }
        }

        func channelInactive(context: ChannelHandlerContext) { promise.fail(ProbeError.closed) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    }

    // MARK: What to do about it

    static func explain(_ error: any Error, _ target: AvailabilityTarget) -> (kind: String, cause: String) {
        switch error {
        case ProbeError.timeout(let limit):
            return (
                "connection_timeout",
                "no answer within \(DurationText.format(nanoseconds: limit.nanoseconds)): is a firewall between the connector and "
                    + "\(target.address), or is the host overloaded?"
            )
        case ProbeError.notHTTP(let reason):
            return (
                "http_protocol_error", "the answer is not HTTP (\(reason)): is \(target.protocol) the right protocol?"
            )
        case ProbeError.closed:
            return (
                "connection_terminated",
                "the connection was closed without an answer: is \(target.protocol) the right protocol?"
            )
        case let error as IOError where error.errnoCode == ECONNRESET && !target.isTLS:
            return (
                "connection_terminated",
                "the connection was reset without an answer: is \(target.protocol) the right protocol?"
            )
        default:
            let failure = BackendFailure(error, target)
            return (failure.error, "\(failure.fullCause): \(failure.advice)")
        }
    }
}
