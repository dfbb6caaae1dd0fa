internal import NIOCore
internal import NIOPosix

/// Sends one request through the proxy, as curl with `-x` does, and returns what came back.
enum DemoClient {
    struct Response: Sendable {
        var status: String
        var body: String
    }

    static func get(
        _ url: String,
        proxyPort: Int,
        token: String? = nil,
        on group: any EventLoopGroup
    ) async throws -> Response {
        let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
        let authorization = token.map { "Proxy-Authorization: Bearer \($0)\r\n" } ?? ""
        let request = "GET \(url) HTTP/1.1\r\nHost: \(authority)\r\n\(authorization)Connection: close\r\n\r\n"
        let promise = group.next().makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: promise.futureResult.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(promise))
                }
            }
            .connect(host: "127.0.0.1", port: proxyPort).get()
        try await channel.writeAndFlush(ByteBuffer(string: request))
        let text = try await promise.futureResult.get()
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        let status = text.prefix { $0 != "\r\n" }.dropFirst("HTTP/1.1 ".count)
        return Response(status: String(status), body: parts.count > 1 ? String(parts[1]) : "")
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<String>
        private var received = ByteBuffer()

        init(_ promise: EventLoopPromise<String>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var buffer = unwrapInboundIn(data)
            received.writeBuffer(&buffer)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.succeed(String(buffer: received))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }
    }
}
