internal import ConnectivityService
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Listens for the programs and SDKs that use the cloud side's API.
final class CloudAPIServer: Sendable {
    /// Connections at once; more wait unaccepted.
    private static let maxConnections = 500

    private final class Routes: Sendable {
        let router = Mutex<(any HTTPRouter)?>(nil)
    }

    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let routes: Routes

    /// Binds the address. Who answers may depend on the port, so nobody is let in before `serve`.
    static func bind(_ address: ServiceConfiguration.Address) async throws -> CloudAPIServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let routes = Routes()
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.maxMessagesPerRead, value: 1)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let limiter = ConnectionLimiter(limit: DescriptorLimit.cap(maxConnections))
                        try channel.pipeline.syncOperations.addHandler(limiter)
                    }
                }
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard let router = routes.router.withLock({ $0 }) else { return }
                        try HTTPConnection.configure(channel, router)
                    }
                }
                .bind(host: address.host, port: address.port).get()
            return CloudAPIServer(channel, group, routes)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private init(_ channel: any Channel, _ group: MultiThreadedEventLoopGroup, _ routes: Routes) {
        self.channel = channel
        self.group = group
        self.routes = routes
    }

    func serve(_ router: any HTTPRouter) async throws {
        routes.router.withLock { $0 = router }
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var eventLoops: [any EventLoop] { Array(group.makeIterator()) }

    func stop() async {
        try? await channel.close()
        try? await group.shutdownGracefully()
    }
}
