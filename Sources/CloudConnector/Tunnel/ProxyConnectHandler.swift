internal import JSON
internal import NIOCore
internal import Networking
internal import TextFormats
internal import TunnelCore

/// Why a proxy did not open the connection.
struct ProxyConnectError: Error, CustomStringConvertible {
    /// The proxy's status; nil where its answer was none.
    var status: Int?
    var description: String

    init(status: Int?, _ description: String) {
        self.status = status
        self.description = description
    }

    init(_ proxy: DialerConfiguration.Proxy, cannotBeReached error: any Error) {
        let cause = ConnectionError(error).cause
        self.init(
            status: nil,
            "the proxy \(proxy.host):\(proxy.port) cannot be reached: \(cause): check tunnel.http-proxy, or ask who runs the "
                + "proxy"
        )
    }

    init(status: Int, proxy: String, service: String, hasCredentials: Bool, offered: [String] = []) {
        let takesBasic = offered.isEmpty || offered.contains { $0.lowercased() == "basic" }
        let advice =
            switch status {
            case 407 where !takesBasic:
                "it offers \(offered.joined(separator: " and ")), and only Basic is spoken here: ask its operator for Basic, or "
                    + "for an exception for this machine"
            case 407 where hasCredentials:
                "it does not take this user and password: check tunnel.http-proxy.user and password-file"
            case 407: "it asks for a user and password: set tunnel.http-proxy.user and password-file"
            case 403: "it does not allow this connection: ask its operator to allow CONNECT to \(service)"
            case 502, 503, 504: "it cannot reach \(service) itself: ask its operator to open the way"
            default: "ask its operator about CONNECT to \(service)"
            }
        self.init(status: status, "the proxy \(proxy) answered \(status) to CONNECT \(service): \(advice)")
    }
}

/// Asks an HTTP proxy for a connection to the service, then steps aside.
package final class ProxyConnectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let proxy: DialerConfiguration.Proxy
    private let service: String
    private let addNext: () throws -> Void
    private var parser = HTTP1HeadParser(.response, limits: HTTP1Limits())
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?

    /// - Parameter addNext: adds the handlers behind this one, once the connection is open.
    package init(_ proxy: DialerConfiguration.Proxy, service: String, addNext: @escaping () throws -> Void) {
        self.proxy = proxy
        self.service = service
        self.addNext = addNext
    }

    private var name: String { "\(proxy.host):\(proxy.port)" }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { ask(context) }
    }

    func channelActive(context: ChannelHandlerContext) { ask(context) }

    private func ask(_ context: ChannelHandlerContext) {
        guard timer == nil else { return }
        var head = "CONNECT \(service) HTTP/1.1\r\nHost: \(service)\r\n"
        if let credentials = proxy.credentials {
            let text = Base64.encode("\(credentials.user):\(credentials.password)")
            head += "Proxy-Authorization: Basic \(text)\r\n"
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head + "\r\n")), promise: nil)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .seconds(10)) {
            let (handler, context) = bound.value
            handler.fail(context, ProxyConnectError(status: nil, "the proxy \(handler.name) did not answer in time"))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        do throws(HTTP1Error) {
            let isComplete = try unsafe received.withUnsafeReadableBytes { (bytes) throws(HTTP1Error) in
                try unsafe parser.parse(bytes)
            }
            guard isComplete else { return }
        } catch {
            return fail(
                context,
                ProxyConnectError(status: nil, "the proxy \(name) does not speak HTTP: \(error.rawValue)")
            )
        }
        guard parser.status / 100 == 2 else {
            let error = ProxyConnectError(
                status: Int(parser.status),
                proxy: name,
                service: service,
                hasCredentials: proxy.credentials != nil,
                offered: offeredSchemes
            )
            return fail(context, error)
        }
        timer?.cancel()
        received.moveReaderIndex(forwardBy: parser.headLength)
        do { try addNext() } catch { return fail(context, error) }
        context.fireChannelActive()
        if received.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(received)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Of `Proxy-Authenticate`, without their parameters (RFC 9110 section 11.7.1).
    private var offeredSchemes: [String] {
        unsafe received.withUnsafeReadableBytes { bytes in
            var schemes: [String] = []
            for index in 0..<parser.fieldCount {
                let field = parser[index]
                let name = unsafe UnsafeRawBufferPointer(rebasing: bytes[field.name])
                guard unsafe Bytes.equals(name, "proxy-authenticate") else { continue }
                let value = unsafe String(decoding: bytes[field.value], as: UTF8.self)
                for part in value.split(separator: ",") {
                    // A part that is a parameter has "=" in its first word.
                    guard let word = part.split(separator: " ").first, !word.contains("=") else { continue }
                    schemes.append(String(LogText.escaped(word.utf8).prefix(40)))
                }
            }
            return schemes
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireErrorCaught(ProxyConnectError(status: nil, "the proxy \(name) closed the connection"))
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        timer?.cancel()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
