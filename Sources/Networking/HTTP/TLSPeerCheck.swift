internal import Cryptography
internal import NIOCore

/// Looks at who the other end is, once its certificate has been verified, before anything is said to it.
final class TLSPeerCheck: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let fault: @Sendable (TLSEstablished) -> String?

    /// - Parameter fault: why the other end is not the right one; nil where it is.
    init(_ fault: @escaping @Sendable (TLSEstablished) -> String?) { self.fault = fault }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let established = event as? TLSEstablished, let fault = fault(established) else {
            return context.fireUserInboundEventTriggered(event)
        }
        context.fireErrorCaught(HTTPClient.HTTPClientError(description: fault))
        context.close(promise: nil)
    }
}
