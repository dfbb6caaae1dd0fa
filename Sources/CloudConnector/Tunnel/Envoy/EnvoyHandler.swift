package import Cryptography
internal import EpollTransport
package import NIOCore
internal import TunnelCore

/// Offers a connection to an Envoy within TLS, waits on the bare connection until it is wanted, and gives way to TLS, in which the
/// Envoy is the client, and to the tunnel's handler behind it.
package final class EnvoyHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let settings: EnvoySettings
    private let service: String
    private let pingInterval: TimeAmount
    private let makeTLS: () -> TLSHandler
    private let accepted: () -> Void
    private var offer: EnvoyOffer
    private var timer: Scheduled<Void>?
    private var heard = NIODeadline.now()

    private static let answerTimeout = TimeAmount.seconds(10)

    /// - Parameters:
    ///   - service: host and port of the Envoy.
    ///   - pingInterval: an Envoy that is silent for three of them is gone.
    ///   - makeTLS: of the session in which requests come.
    ///   - accepted: called when the Envoy has taken the connection.
    package init(
        _ settings: EnvoySettings,
        service: String,
        pingInterval: TimeAmount,
        makeTLS: @escaping () -> TLSHandler,
        accepted: @escaping () -> Void
    ) {
        self.settings = settings
        self.service = service
        self.pingInterval = pingInterval
        self.makeTLS = makeTLS
        self.accepted = accepted
        offer = EnvoyOffer(settings)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is TLSEstablished: ask(context)
        case ChannelEvent.inputClosed where !offer.isWaiting:
            fail(
                context,
                EnvoyError("the Envoy closed the connection instead of an answer to the offer of a reverse tunnel")
            )
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func ask(_ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: settings.head(for: service))), promise: nil)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Self.answerTimeout) {
            let (handler, context) = bound.value
            handler.fail(context, EnvoyError("the Envoy did not answer the offer of a reverse tunnel in time"))
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        heard = .now()
        do {
            switch try unsafe bytes.withUnsafeReadableBytes({ try unsafe offer.receive($0, now: heard) }) {
            case .nothing: break
            case .accepted:
                timer?.cancel()
                context.triggerUserOutboundEvent(TLSDeparture(), promise: nil)
                watch(context)
                accepted()
            case .pings(let count): echo(count, context)
            case .tls(let index, let pings):
                if pings > 0 { echo(pings, context) }
                bytes.moveReaderIndex(forwardBy: index)
                try giveWay(context, bytes)
            }
        } catch {
            fail(context, error)
        }
    }

    /// Who does not read them gets none.
    private func echo(_ count: Int, _ context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        var bytes = ByteBuffer()
        for _ in 0..<count { bytes.writeStaticString(EnvoyOffer.ping) }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private func giveWay(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) throws {
        timer?.cancel()
        try context.pipeline.syncOperations.addHandler(makeTLS(), position: .after(self))
        context.fireChannelRead(wrapInboundOut(bytes))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func watch(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: pingInterval) {
            let (handler, context) = bound.value
            guard .now() - handler.heard < handler.pingInterval * 3 else {
                return handler.fail(context, TunnelError.silent)
            }
            handler.watch(context)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        timer?.cancel()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
