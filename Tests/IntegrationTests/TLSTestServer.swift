import ConnectorTestSupport
import Cryptography
import NIOCore
import NIOPosix

/// An HTTPS server of one answer, for tests.
struct TLSTestServer {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    /// - Parameters:
    ///   - clients: the authority whose certificates clients must show; nil for a server that asks for none.
    ///   - respond: makes the answer out of the head of a request.
    static func start(
        certificate: String,
        key: String,
        clients: String? = nil,
        respond: @escaping @Sendable (String) -> String
    ) async throws -> TLSTestServer {
        let context = try TLSContext(
            TLSConfiguration(
                role: .server,
                minimumVersion: .tls12,
                certificateChain: .file(certificate),
                privateKey: .file(key),
                trust: .anchors(clients.map { [.file($0)] } ?? []),
                requiresClientCertificate: clients != nil
            )
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        TLSHandler(context, serverName: nil, peer: "the connector"),
                        Answer(respond)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TLSTestServer(group: group, channel: channel)
    }

    static func start(certificate: String, key: String, response: String) async throws -> TLSTestServer {
        try await start(certificate: certificate, key: key) { _ in response }
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let respond: (String) -> String
        private var request = ""

        init(_ respond: @escaping (String) -> String) { self.respond = respond }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += String(buffer: unwrapInboundIn(data))
            guard let end = SimpleHTTP.messageEnd(Array(request.utf8), from: 0), end == request.utf8.count else {
                return
            }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: respond(request))), promise: nil)
            request = ""
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
