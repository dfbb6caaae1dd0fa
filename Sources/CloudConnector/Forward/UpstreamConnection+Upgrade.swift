internal import AccessPolicy
internal import Cryptography
internal import EpollTransport
internal import NIOCore
internal import TextFormats
internal import TunnelCore

/// The internal host switches to WebSocket.
extension UpstreamConnection {
    /// Hands the channel over to the request, which carries bytes from now on.
    func switchProtocols(_ request: any ResponseReceiver) throws(HTTP1Error) {
        let wrong = try unsafe inbound.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) -> String? in
            if let wrong = unsafe fault(bytes, request.webSocketKey ?? "") { return wrong }
            let framing = try unsafe parser.responseFraming(bytes, isHead: false)
            request.answered(101)
            unsafe ResponseHead.write(parser, bytes, framing, self, request)
            return nil
        }
        if let wrong { return end(BackendRefusal.badUpgrade(wrong, system)) }
        guard let context else { return }
        inbound.moveReaderIndex(forwardBy: parser.headLength)
        let first = inbound
        inbound = ByteBuffer()
        self.request = nil
        loop.forget(self)
        request.stream.send(head: loop.fields, isEnd: false)
        let channel = context.channel
        do {
            try request.switched(channel, after: self, first: first)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            channel.close(promise: nil)
            request.responseFailed(BackendRefusal.connect(error, system))
        }
    }

    /// What is wrong with a 101 (RFC 6455 section 4.1, of the client).
    private func fault(_ bytes: UnsafeRawBufferPointer, _ key: String) -> String? {
        var isWebSocket = false
        var accepts: [String] = []
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.value])
            switch field.known {
            case .upgrade: isWebSocket = unsafe isWebSocket || Bytes.equals(value, "websocket")
            case .webSocketAccept: accepts.append(unsafe String(decoding: value, as: UTF8.self))
            default: break
            }
        }
        if !isWebSocket { return "its 101 does not say Upgrade: websocket" }
        return accepts == [WebSocketKey.accept(key)] ? nil : "its Sec-WebSocket-Accept does not answer the key"
    }
}

extension UpstreamConnection: RemovableChannelHandler {}
