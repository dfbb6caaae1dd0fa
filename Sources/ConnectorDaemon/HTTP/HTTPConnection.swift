internal import NIOCore
internal import NIOHTTP1

/// One connection of an HTTP server that is not on the request path of the tunnel: whole requests in, whole answers out.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Octets of a request's body.
    static let bodyLimit = 1 << 20

    /// Adds everything that such a connection needs to its pipeline.
    static func configure(_ channel: any Channel, _ router: any HTTPRouter) throws {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
        try channel.pipeline.syncOperations.addHandlers(
            IdleStateHandler(allTimeout: .seconds(60)),
            HTTPConnection(router)
        )
    }

    private let router: any HTTPRouter
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// The client is left time to read an answer to what it has not sent yet: octets that arrive on a closed socket would
    /// reset the connection, and the answer with it.
    private var isLingering = false
    private static let lingering = TimeAmount.seconds(2)

    init(_ router: any HTTPRouter) { self.router = router }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let buffer):
            guard body.count + buffer.readableBytes <= Self.bodyLimit else {
                return reject(.error(.payloadTooLarge, "at most \(Self.bodyLimit) octets"), context)
            }
            body += Array(buffer.readableBytesView)
        case .end:
            guard let head else { return }
            let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            let request = HTTPRequest(
                method: head.method.rawValue,
                path: String(parts.first ?? ""),
                query: parts.count > 1 ? String(parts[1]) : "",
                headers: head.headers,
                body: body,
                remote: context.remoteAddress?.ipAddress ?? ""
            )
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.makeFutureWithTask { [router] in await router.answer(request) }
                .assumeIsolated()
                .whenSuccess { response in
                    let (connection, context) = bound.value
                    // The parser stops after a request that asks for another protocol, as Java's client does by default.
                    let isKeptAlive = head.isKeepAlive && !head.headers.contains(name: "upgrade")
                    connection.write(response, isKeptAlive, context)
                }
        }
    }

    private func write(_ response: HTTPResponse, _ isKeptAlive: Bool, _ context: ChannelHandlerContext) {
        var headers: HTTPHeaders = [
            "content-type": response.contentType, "content-length": String(response.body.count),
            "cache-control": "no-store", "x-content-type-options": "nosniff",
            "connection": isKeptAlive ? "keep-alive" : "close",
        ]
        headers.add(contentsOf: response.headers)
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: response.status, headers: headers))),
            promise: nil
        )
        if head?.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let (isLingering, lingering) = (isLingering, Self.lingering)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            guard !isKeptAlive else { return }
            guard isLingering else { return bound.value.close(promise: nil) }
            bound.value.close(mode: .output, promise: nil)
            bound.value.eventLoop.scheduleTask(in: lingering) { bound.value.close(promise: nil) }
        }
    }

    /// Answers what has not come to its end, and never will.
    private func reject(_ response: HTTPResponse, _ context: ChannelHandlerContext) {
        head = nil
        isLingering = true
        write(response, false, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What comes after an error is one error more.
        guard !isLingering else { return }
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        let isTooLong = error == .headerOverflow
        reject(
            isTooLong
                ? .text(.requestHeaderFieldsTooLarge, "the head of the request is longer than 80 KiB")
                : .text(.badRequest, "the request is not HTTP/1.1: \(error)"),
            context
        )
    }
}
