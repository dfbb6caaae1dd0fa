package import Cryptography
internal import Glibc
internal import HostSystem
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
package import TextFormats

/// Listens for HTTP that does not go through the tunnel: programs and SDKs at the API, browsers at the cockpit, Prometheus, and
/// commands on a Unix socket. Limits of time and size are `HTTPServerLimits`, shares of an address `ConnectionLimiter`'s.
package final class HTTPListener: Sendable {
    private final class Routes: Sendable {
        let router = Mutex<(any HTTPRouter)?>(nil)
    }

    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let routes: Routes
    /// Of a Unix socket, which goes with the listener.
    private let path: String?

    private init(
        _ channel: any Channel,
        _ group: MultiThreadedEventLoopGroup,
        _ routes: Routes,
        path: String? = nil
    ) {
        self.channel = channel
        self.group = group
        self.routes = routes
        self.path = path
    }

    // MARK: Binding

    /// Binds an address. Who answers may depend on the port, so nobody is let in before `serve`.
    ///
    /// - Parameters:
    ///   - setting: the key that names the address.
    ///   - maxConnections: at once; more wait unaccepted, and one address gets three quarters of them.
    ///   - tls: for HTTPS; asked for each connection, so a new certificate counts from the next one on. Nil for plain HTTP.
    ///   - admits: whether a client may go on whose TLS is established; nil for all.
    ///   - trusted: who is believed about clients.
    ///   - limits: what one connection may take.
    package static func bind(
        _ address: HostPort,
        as setting: String,
        maxConnections: Int,
        tls: (@Sendable () -> TLSContext?)? = nil,
        admits: (@Sendable (TLSEstablished) -> Bool)? = nil,
        trusted: TrustedPeers = TrustedPeers(),
        limits: HTTPServerLimits = HTTPServerLimits()
    ) async throws -> HTTPListener {
        try await bind(maxConnections, tls: tls, admits: admits, trusted: trusted, limits: limits) { bootstrap in
            try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(to: address, as: setting)
        }
    }

    /// Binds a Unix socket. Who may use it, its folder's mode says.
    ///
    /// - Throws: `ListenError` where another process answers on it, or it cannot be made.
    package static func bind(socket path: String, maxConnections: Int) async throws -> HTTPListener {
        if unsafe access(path, F_OK) == 0 {
            if let other = try? await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path).get()
            {
                try? await other.close()
                throw ListenError(path, "another process answers there")
            }
            unsafe unlink(path)
        } else if let folder = path.lastIndex(of: "/").map({ String(path[..<$0]) }), !folder.isEmpty {
            try? Folder.make(folder, mode: 0o750)
        }
        // Made with the right mode from the start.
        let mask = umask(0o117)
        defer { umask(mask) }
        do {
            return try await bind(maxConnections, path: path) { bootstrap in
                try await bootstrap.bind(unixDomainSocketPath: path).get()
            }
        } catch {
            throw ListenError(path, error)
        }
    }

    private static func bind(
        _ maxConnections: Int,
        path: String? = nil,
        tls: (@Sendable () -> TLSContext?)? = nil,
        admits: (@Sendable (TLSEstablished) -> Bool)? = nil,
        trusted: TrustedPeers = TrustedPeers(),
        limits: HTTPServerLimits = HTTPServerLimits(),
        _ bind: (ServerBootstrap) async throws -> any Channel
    ) async throws -> HTTPListener {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let routes = Routes()
        let bodies = BodyBudget(limits)
        let bootstrap = ServerBootstrap(group: group)
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
                    let bound = NIOLoopBound(channel, eventLoop: channel.eventLoop)
                    try trusted.introduce(channel) { client in
                        let channel = bound.value
                        if let context = tls?() {
                            let handler = TLSHandler(context, serverName: nil, peer: "a browser or program")
                            try channel.pipeline.syncOperations.addHandlers(PlainRequestRedirect(), handler)
                            if let admits {
                                let check = TLSPeerCheck { admits($0) ? nil : "the certificate is not welcome" }
                                try channel.pipeline.syncOperations.addHandler(check)
                            }
                        } else if tls != nil, admits != nil {
                            // Without a certificate of our own nobody can be known.
                            return channel.close(promise: nil)
                        }
                        try HTTPConnection.configure(channel, router, bodies, client: client, trusted)
                    }
                }
            }
        do {
            return HTTPListener(try await bind(bootstrap), group, routes, path: path)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    // MARK: Serving

    /// Begins to answer; until then, connections wait.
    package func serve(_ router: any HTTPRouter) async throws {
        routes.router.withLock { $0 = router }
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    package var port: Int { channel.localAddress?.port ?? 0 }
    package var eventLoops: [any EventLoop] { Array(group.makeIterator()) }

    /// - Parameter grace: for answers on their way, one of which may be to the very request that brought the end.
    package func stop(grace: Duration = .zero) async {
        try? await channel.close()
        if let path { unsafe unlink(path) }
        try? await Task.sleep(for: grace)
        try? await group.shutdownGracefully()
    }
}
