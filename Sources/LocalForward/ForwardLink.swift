internal import NIOCore

/// One half of a link of two connections: what comes in here goes out there, no faster than it is taken, and an end of one
/// direction ends that direction.
final class ForwardLink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var other: ForwardLink?
    private var context: ChannelHandlerContext?
    private var isReadWanted = false

    /// Links two handlers of the same event loop; each is added to its channel then.
    static func pair() -> (ForwardLink, ForwardLink) {
        let (left, right) = (ForwardLink(), ForwardLink())
        (left.other, right.other) = (right, left)
        return (left, right)
    }

    private init() {}

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        other = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        other?.context?.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        other?.context?.flush()
        read()
    }

    /// Takes more, once the other side takes more. The channels do not read by themselves.
    private func read() {
        isReadWanted = other?.context?.channel.isWritable == false
        if !isReadWanted { context?.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let other, other.isReadWanted { other.read() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            other?.context?.close(mode: .output, promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        other?.context?.close(promise: nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
