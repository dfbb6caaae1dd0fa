import Cryptography
import NIOCore
import NIOPosix

/// An HTTPS server of one answer, for tests.
struct TLSTestServer {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    static func start(certificate: String, key: String, response: String) async throws -> TLSTestServer {
        let context = try TLSContext(
            TLSConfiguration(
                role: .server,
                minimumVersion: .tls12,
                certificateChain: .file(certificate),
                privateKey: .file(key)
            )
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        TLSHandler(context, serverName: nil, peer: "the connector"),
                        Answer(response)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TLSTestServer(group: group, channel: channel)
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let response: String
        private var request = ""

        init(_ response: String) { self.response = response }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += String(buffer: unwrapInboundIn(data))
            guard request.hasSuffix("\r\n\r\n") else { return }
            request = ""
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: response)), promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
