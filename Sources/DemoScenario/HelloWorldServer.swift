internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Networking
internal import TextFormats

/// The internal system of the demonstration: `GET /hello` answers a greeting, `GET /` what there is, everything else 404.
struct HelloWorldServer: Sendable {
    private let channel: any Channel

    static func start(on group: any EventLoopGroup, port: Int) async throws -> HelloWorldServer {
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler())
                }
            }
            .bind(to: HostPort(host: "127.0.0.1", port: port), as: "the Hello World server (--backend-port)")
        return HelloWorldServer(channel: channel)
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private var body = ""
        private var isHead = false

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                isHead = head.method == .HEAD
                switch head.uri.split(separator: "?").first {
                case "/hello": body = "{\"message\":\"Hello World\"}\n"
                case "/": body = "{\"paths\":[\"/hello\"]}\n"
                default: body = ""
                }
            case .body: break
            case .end:
                let isKnown = !body.isEmpty
                if !isKnown { body = "{\"error\":\"not found\"}\n" }
                let headers = HTTPHeaders([
                    ("content-type", "application/json"), ("content-length", String(body.utf8.count)),
                    // The demonstration stops this server; it should not live on in a kept connection.
                    ("connection", "close"),
                ])
                let head = HTTPResponseHead(version: .http1_1, status: isKnown ? .ok : .notFound, headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                if !isHead {
                    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
                }
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}
