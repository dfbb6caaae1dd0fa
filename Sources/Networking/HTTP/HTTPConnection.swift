internal import Cryptography
internal import HostSystem
package import NIOCore
package import NIOHTTP1

/// What one connection of an HTTP server beside the tunnel may take, in time and memory. All times are absolute: bytes that
/// trickle in do not extend them.
package struct HTTPServerLimits: Sendable {
    /// From the accepted connection to the first byte, and from a request's first byte to the end of its head.
    var head = TimeAmount.seconds(10)
    /// From the end of the head to the end of the body.
    var body = TimeAmount.seconds(30)
    /// Between two requests.
    var keepAlive = TimeAmount.seconds(60)
    /// For the client to take an answer.
    var answer = TimeAmount.seconds(60)
    /// Bytes of one request's body.
    var bodyBytes = 1 << 20
    /// Bytes of all bodies that are being received, of which one address gets three quarters.
    var allBodyBytes = 16 << 20

    package init() {}

    /// - Parameter bodyBytes: of one request's body.
    package init(bodyBytes: Int) { self.bodyBytes = bodyBytes }
}

/// One connection of an HTTP server that is not on the request path of the tunnel: whole requests in, whole answers out.
///
///     silent ──byte──▶ head ──▶ body ──▶ answering ──▶ waiting ──byte──▶ head …
///                                             └──▶ lingering ──▶ closed   after an answer that ends the connection
package final class HTTPConnection: ChannelInboundHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    /// Adds everything that such a connection needs to its pipeline.
    ///
    /// - Parameters:
    ///   - client: if it is known better than by the connection's other end.
    ///   - trusted: who is believed about clients.
    package static func configure(
        _ channel: any Channel,
        _ router: any HTTPRouter,
        _ bodies: BodyBudget,
        client: SocketAddress? = nil,
        _ trusted: TrustedPeers = TrustedPeers()
    ) throws {
        let connection = HTTPConnection(router, bodies, client ?? channel.remoteAddress, trusted)
        let bytes = BytesHandler(connection)
        connection.bytes = bytes
        try channel.pipeline.syncOperations.addHandler(bytes)
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    private enum Phase { case silent, head, body, answering, waiting, lingering }

    private let router: any HTTPRouter
    private let bodies: BodyBudget
    private var phase = Phase.silent
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    private weak var bytes: BytesHandler?
    private let address: SocketAddress?
    private let trusted: TrustedPeers
    private let remote: String
    private let client = ClientPresence()
    private var clientSerial: String?
    /// The client is left time to read an answer to what it has not sent yet: bytes that arrive on a closed socket would
    /// reset the connection, and the answer with it.
    private static let lingering = TimeAmount.seconds(2)

    init(_ router: any HTTPRouter, _ bodies: BodyBudget, _ address: SocketAddress?, _ trusted: TrustedPeers) {
        self.router = router
        self.bodies = bodies
        (self.address, self.trusted) = (address, trusted)
        remote = address?.ipAddress ?? ""
    }

    private var limits: HTTPServerLimits { bodies.limits }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        enter(.silent, limits.head)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        dropBody()
        client.leave()
        self.context = nil
    }

    // MARK: Time

    private func enter(_ phase: Phase, _ limit: TimeAmount?) {
        self.phase = phase
        timer?.cancel()
        timer = nil
        guard let limit, let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) { bound.value.timedOut() }
    }

    private func timedOut() {
        guard let context else { return }
        switch phase {
        case .head: rejectUnread(.error(.requestTimeout, "the head of the request did not arrive in time"))
        case .body: reject(.error(.requestTimeout, "the body of the request did not arrive in time"), context)
        case .silent, .answering, .waiting, .lingering: context.close(promise: nil)
        }
    }

    /// The first byte of a request, seen before a decoder has made anything of it.
    fileprivate func receivedBytes() {
        if phase == .silent || phase == .waiting { enter(.head, limits.head) }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let tls = event as? TLSEstablished { clientSerial = tls.peerCertificate?.serial }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Requests

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .lingering else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): received(head, context)
        case .body(let buffer): received(buffer, context)
        case .end: ended(context)
        }
    }

    private func received(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.head = head
        dropBody()
        enter(.body, limits.body)
        // RFC 9112 section 3.2.
        let hosts = head.headers["host"].count
        if hosts > 1 || hosts == 0 && head.version != .http1_0 {
            reject(.error(.badRequest, "a request must have one Host field, and this one has \(hosts)"), context)
        }
    }

    private func received(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        let count = buffer.readableBytes
        guard body.count + count <= limits.bodyBytes else {
            return reject(.error(.payloadTooLarge, "at most \(limits.bodyBytes) bytes"), context)
        }
        guard bodies.reserve(count, remote) else {
            var response = HTTPResponse.error(.serviceUnavailable, "too many bodies are being received; try again")
            response.headers = ["retry-after": "5"]
            return reject(response, context)
        }
        body += Array(buffer.readableBytesView)
    }

    private func ended(_ context: ChannelHandlerContext) {
        guard let head else { return }
        enter(.answering, nil)
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var request = HTTPRequest(
            method: head.method.rawValue,
            path: String(parts.first ?? ""),
            query: parts.count > 1 ? String(parts[1]) : "",
            headers: head.headers,
            body: body,
            remote: trusted.client(behind: address, head.headers) ?? remote,
            client: client
        )
        request.clientSerial = clientSerial
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.makeFutureWithTask { [router, request] in await router.answer(request) }
            .assumeIsolated()
            .whenSuccess { response in
                let (connection, context) = bound.value
                connection.dropBody()
                guard connection.context != nil else { return }
                // The parser stops after a request that asks for another protocol, as Java's client does by default.
                let isKeptAlive = head.isKeepAlive && !head.headers.contains(name: "upgrade")
                connection.write(response, isKeptAlive, context)
            }
    }

    private func dropBody() {
        bodies.release(body.count, remote)
        body = []
    }

    // MARK: Answers

    private static func headers(_ response: HTTPResponse, _ isKeptAlive: Bool) -> HTTPHeaders {
        var headers: HTTPHeaders = [
            "content-type": response.contentType, "content-length": String(response.body.count),
            "cache-control": "no-store", "x-content-type-options": "nosniff",
            "connection": isKeptAlive ? "keep-alive" : "close",
        ]
        if response.contentType.isEmpty { headers.remove(name: "content-type") }
        // RFC 9110 section 8.6.
        if response.status == .noContent { headers.remove(name: "content-length") }
        if response.headers.contains(name: "cache-control") { headers.remove(name: "cache-control") }
        headers.add(name: "date", value: WallClock.httpDate())
        headers.add(contentsOf: response.headers)
        return headers
    }

    private func write(_ response: HTTPResponse, _ isKeptAlive: Bool, _ context: ChannelHandlerContext) {
        let headers = Self.headers(response, isKeptAlive)
        if phase != .lingering { enter(.answering, limits.answer) }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: response.status, headers: headers))),
            promise: nil
        )
        if head?.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            let (connection, context) = bound.value
            connection.written(isKeptAlive, context)
        }
    }

    private func written(_ isKeptAlive: Bool, _ context: ChannelHandlerContext) {
        if phase == .lingering {
            context.close(mode: .output, promise: nil)
            enter(.lingering, Self.lingering)
        } else if !isKeptAlive {
            context.close(promise: nil)
        } else if phase == .answering {
            enter(.waiting, limits.keepAlive)
        }
    }

    /// Answers what has not come to its end, and never will.
    private func reject(_ response: HTTPResponse, _ context: ChannelHandlerContext) {
        head = nil
        dropBody()
        enter(.lingering, limits.answer)
        write(response, false, context)
    }

    /// Answers a request whose head never came. For the handlers between there is no request, and a response to none is an error that
    /// ends a debug build, so it goes past them.
    private func rejectUnread(_ response: HTTPResponse) {
        guard let context, let bytes else { return }
        head = nil
        dropBody()
        enter(.lingering, limits.answer)
        var text = "HTTP/1.1 \(response.status.code) \(response.status.reasonPhrase)\r\n"
        for field in Self.headers(response, false) { text += "\(field.name): \(field.value)\r\n" }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        bytes.write(Array((text + "\r\n").utf8) + response.body)?.whenComplete { _ in
            let (connection, context) = bound.value
            connection.written(false, context)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What comes after an error is one error more.
        guard phase != .lingering else { return }
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        switch error {
        case .headerOverflow:
            reject(.text(.requestHeaderFieldsTooLarge, "the head of the request is longer than 80 KiB"), context)
        case .invalidMethod:
            var response = HTTPResponse.text(.methodNotAllowed, "this is not a method that is known here")
            response.headers = ["allow": "GET, HEAD, POST, PUT, PATCH, DELETE"]
            reject(response, context)
        default: reject(.text(.badRequest, "the request is not HTTP/1.1: \(error)"), context)
        }
    }
}

/// In front of the decoder: tells a connection that bytes have come, and sends what is no answer to a decoded request.
private final class BytesHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: HTTPConnection
    private var context: ChannelHandlerContext?

    init(_ connection: HTTPConnection) { self.connection = connection }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.receivedBytes()
        context.fireChannelRead(data)
    }

    func write(_ bytes: [UInt8]) -> EventLoopFuture<Void>? {
        context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)))
    }
}
