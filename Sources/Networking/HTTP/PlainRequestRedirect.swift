internal import NIOCore

/// In front of TLS: a browser that was given `http://` for a port that speaks HTTPS is led there, and others are told.
///
/// The first byte decides: a TLS handshake begins with 0x16 (RFC 8446 section 5.1), no method of HTTP does.
final class PlainRequestRedirect: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes of a head that are looked at.
    private static let limit = 8192
    private var bytes = ByteBuffer()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if bytes.readableBytes == 0, buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) == 0x16 {
            context.fireChannelRead(data)
            return context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
        bytes.writeBuffer(&buffer)
        let text = String(buffer: bytes)
        guard text.contains("\r\n\r\n") || bytes.readableBytes > Self.limit else { return }
        let answer = Self.answer(text)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // Before the TLS handler, which would take it for plaintext of its own.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)))
            .whenComplete { _ in bound.value.close(promise: nil) }
    }

    static func answer(_ head: String) -> String {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines.first?.split(separator: " ") ?? []
        let host =
            lines.dropFirst().first { $0.lowercased().hasPrefix("host:") }
            .map { $0.dropFirst(5).drop { $0 == " " } } ?? ""
        let isHost = !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/\\\"<>@".utf8.contains($0) }
        let isPath = words.count == 3 && words[1].hasPrefix("/") && words[1].utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        let text = "This port speaks HTTPS.\n"
        let rest = "content-type: text/plain\r\ncontent-length: \(text.utf8.count)\r\nconnection: close\r\n\r\n\(text)"
        guard isHost, isPath, words[0] == "GET" || words[0] == "HEAD" else {
            return "HTTP/1.1 400 Bad Request\r\n\(rest)"
        }
        return "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://\(host)\(words[1])\r\n\(rest)"
    }
}
