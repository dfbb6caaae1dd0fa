package import NIOCore

/// The header with which a load balancer says who has connected to it: versions 1 and 2 of the PROXY protocol.
///
/// Source: HAProxy, "The PROXY protocol, versions 1 & 2", sections 2.1 and 2.2.
package enum ProxyProtocol {
    package enum Result: Equatable, Sendable {
        case incomplete
        /// - Parameters:
        ///   - client: nil where the balancer speaks for itself, as in a health check, or does not know.
        ///   - length: bytes of the header.
        case header(client: SocketAddress?, length: Int)
        case broken(String)
    }

    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    /// Bytes of the longest header of version 1, and with further fields of version 2.
    package static let limit = 2048
    private static let lineLimit = 107

    package static func read(_ bytes: ByteBufferView) -> Result {
        let start = bytes.prefix(signature.count)
        if signature.starts(with: start) {
            return start.count == signature.count ? binary(bytes) : .incomplete
        }
        let word = Array("PROXY ".utf8)
        guard word.starts(with: bytes.prefix(word.count)) else {
            return .broken("does not begin with a PROXY header")
        }
        return line(bytes)
    }

    private static func line(_ bytes: ByteBufferView) -> Result {
        guard let end = bytes.prefix(lineLimit).firstIndex(of: 0x0A) else {
            return bytes.count < lineLimit ? .incomplete : .broken("has a PROXY header without an end")
        }
        let length = end - bytes.startIndex + 1
        guard length >= 8, bytes[end - 1] == 0x0D else { return .broken("has a PROXY header without an end") }
        let words = String(decoding: bytes[..<(end - 1)], as: UTF8.self).split(
            separator: " ",
            omittingEmptySubsequences: false
        )
        if words.count > 1, words[1] == "UNKNOWN" { return .header(client: nil, length: length) }
        // The port first: SocketAddress ends the process for one that is none.
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6", let port = port(words[4]),
            Self.port(words[5]) != nil,
            let address = try? SocketAddress(ipAddress: String(words[2]), port: Int(port)),
            (address.protocol == .inet) == (words[1] == "TCP4")
        else { return .broken("has a PROXY header that is none") }
        return .header(client: address, length: length)
    }

    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(text) : nil
    }

    private static func binary(_ bytes: ByteBufferView) -> Result {
        guard bytes.count >= 16 else { return .incomplete }
        let head = Array(bytes.prefix(16))
        let length = 16 + Int(head[14]) << 8 + Int(head[15])
        guard length <= limit else { return .broken("has a PROXY header of more than \(limit) bytes") }
        guard head[12] == 0x20 || head[12] == 0x21 else { return .broken("has a PROXY header of an unknown version") }
        guard bytes.count >= length else { return .incomplete }
        guard head[12] == 0x21 else { return .header(client: nil, length: length) }
        let body = Array(bytes.dropFirst(16).prefix(length - 16))
        switch head[13] {
        case 0x11, 0x12: return packed(body, 4, length)
        case 0x21, 0x22: return packed(body, 16, length)
        // A socket in a file system, or nothing that has an address.
        default: return .header(client: nil, length: length)
        }
    }

    private static func packed(_ body: [UInt8], _ size: Int, _ length: Int) -> Result {
        guard body.count >= 2 * size + 4 else { return .broken("has a PROXY header without its addresses") }
        let port = Int(body[2 * size]) << 8 | Int(body[2 * size + 1])
        let address = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: body.prefix(size)), port: port)
        return .header(client: address, length: length)
    }
}

/// Reads the header of the PROXY protocol in front of everything else, then steps aside.
package final class ProxyProtocolHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private let goesOn: (SocketAddress?) throws -> Void
    private let refused: (String) -> Void
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - goesOn: adds the handlers behind this one, for the client that the header names; nil for the peer itself.
    ///   - refused: is told what is wrong with what has come.
    package init(_ goesOn: @escaping (SocketAddress?) throws -> Void, refused: @escaping (String) -> Void) {
        (self.goesOn, self.refused) = (goesOn, refused)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .seconds(10)) {
            let (handler, context) = bound.value
            handler.refuse(context, "sends no PROXY header")
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        switch ProxyProtocol.read(received.readableBytesView) {
        case .incomplete: break
        case .broken(let cause): refuse(context, cause)
        case .header(let client, let length):
            timer?.cancel()
            received.moveReaderIndex(forwardBy: length)
            do { try goesOn(client) } catch { return refuse(context, "\(error)") }
            context.fireChannelActive()
            if received.readableBytes > 0 {
                context.fireChannelRead(wrapInboundOut(received))
                context.fireChannelReadComplete()
            }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ cause: String) {
        timer?.cancel()
        refused(cause)
        context.close(promise: nil)
    }
}
