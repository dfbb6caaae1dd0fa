internal import ControlProtocol
internal import Cryptography
internal import EpollTransport
internal import JSON
internal import Logging
internal import NIOCore
internal import TunnelCore

/// Decides, once TLS is up, whether a connection is a tunnel or a connector that enrols.
final class TunnelEntryHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let makeTunnel: (TunnelDialect) -> TunnelHandler
    private let hub: TunnelHub
    private let remote: String
    private var hasFailed = false

    init(hub: TunnelHub, remote: String, makeTunnel: @escaping (TunnelDialect) -> TunnelHandler) {
        self.hub = hub
        self.remote = remote
        self.makeTunnel = makeTunnel
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let tls = event as? TLSEstablished {
            let handler: any ChannelHandler =
                tls.applicationProtocol == EnrolmentProtocol.name
                ? EnrolmentHandler(hub, remote)
                : makeTunnel(TunnelDialect(applicationProtocol: tls.applicationProtocol) ?? .standard)
            try? context.pipeline.syncOperations.addHandler(handler, position: .after(self))
            if handler is TunnelHandler {
                // Whoever has come so far may say more at once.
                (context.channel as? SocketChannel)?.setReadSize(AcceptedTunnel.readBuffer)
            }
            context.fireUserInboundEventTriggered(event)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// The handshake failed. A connection that only comes and goes is somebody's health check, and no news.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !hasFailed else { return }
        // Before it is closed: that fails the handshake a second time, with another cause.
        hasFailed = true
        defer { context.close(promise: nil) }
        let isNews = (error as? TLSError)?.code != .closedDuringHandshake
        hub.refused("tunnel refused", remote, error, level: isNews ? .warning : .debug)
    }
}

/// One request for a first certificate: a line with token and key in, a line with the answer out.
final class EnrolmentHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let hub: TunnelHub
    private let remote: String
    private var lines = LineBuffer(limit: EnrolmentProtocol.messageLimit)
    private var timer: Scheduled<Void>?
    private var isAsked = false

    init(_ hub: TunnelHub, _ remote: String) {
        self.hub = hub
        self.remote = remote
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // One request for each connection: a token is good for one certificate.
        guard !isAsked else { return }
        let buffer = unwrapInboundIn(data)
        do {
            guard let line = try unsafe buffer.withUnsafeReadableBytes({ try unsafe lines.append($0) }).first else {
                return
            }
            let request = try JSONLines.decode(EnrolmentRequest.self, line)
            isAsked = true
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            // Signing and writing take their time, so another thread does it.
            let answer = AuthorityThreads.run(on: context.eventLoop) { [hub, remote] in
                Self.answer(request, hub, remote)
            }
            guard let answer else {
                hub.refused("enrolment refused", remote, EnrolmentError("too many others are waiting"))
                return context.close(promise: nil)
            }
            answer.whenSuccess { response in
                let bytes = ByteBuffer(bytes: JSONLines.encode(response))
                bound.value.writeAndFlush(NIOAny(bytes)).whenComplete { _ in bound.value.close(promise: nil) }
            }
        } catch {
            context.close(promise: nil)
        }
    }

    private static func answer(_ request: EnrolmentRequest, _ hub: TunnelHub, _ remote: String) -> EnrolmentResponse {
        do {
            let response = try hub.authority.enrol(request)
            let details = try? response.certificate.map { try CertificateDetails(.pem($0)) }
            let connector = details?.connector.map { "\($0)" } ?? ""
            hub.logger.notice("connector enrolled", metadata: ["remote": "\(remote)", "connector": "\(connector)"])
            return response
        } catch {
            hub.refused("enrolment refused", remote, error)
            return EnrolmentResponse(refused: "\(error)")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
