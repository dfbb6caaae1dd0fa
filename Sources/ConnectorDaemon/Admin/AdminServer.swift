internal import ConnectivityService
internal import ControlProtocol
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
internal import Telemetry
internal import TunnelCore

/// HTTP/1.1 for `connectord status` and its kind on a Unix socket, and for Prometheus on a loopback port. Who may use
/// the socket, its folder's mode says; the port has metrics only.
final class AdminServer: Sendable {
    private let channels: [any Channel]
    private let group: MultiThreadedEventLoopGroup
    private let socketPath: String
    let metricsPort: Int?

    private init(
        _ channels: [any Channel],
        _ group: MultiThreadedEventLoopGroup,
        _ socketPath: String,
        _ metricsPort: Int?
    ) {
        self.channels = channels
        self.group = group
        self.socketPath = socketPath
        self.metricsPort = metricsPort
    }

    var eventLoops: [any EventLoop] { Array(group.makeIterator()) }

    static func start(_ configuration: ProcessConfiguration, _ router: any HTTPRouter) async throws -> AdminServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var channels: [any Channel] = []
        do {
            var metricsPort: Int?
            if !configuration.adminSocket.isEmpty {
                channels.append(try await bindSocket(configuration.adminSocket, group, router))
            }
            if let metrics = configuration.metrics {
                let channel = try await bootstrap(group, MetricsOnly(router: router))
                    .bind(host: metrics.host, port: metrics.port).get()
                metricsPort = channel.localAddress?.port
                channels.append(channel)
            }
            return AdminServer(channels, group, configuration.adminSocket, metricsPort)
        } catch {
            for channel in channels { try? await channel.close() }
            try await group.shutdownGracefully()
            throw error
        }
    }

    private static func bindSocket(
        _ path: String,
        _ group: MultiThreadedEventLoopGroup,
        _ router: any HTTPRouter
    ) async throws -> any Channel {
        if access(path, F_OK) == 0 {
            if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
                try? await other.close()
                throw AdminFailure("another process answers on \(path)")
            }
            unlink(path)
        } else if let folder = path.lastIndex(of: "/").map({ String(path[..<$0]) }), !folder.isEmpty {
            _ = Folder.make(folder, mode: 0o750)
        }
        // Made with the right mode from the start.
        let mask = umask(0o117)
        defer { umask(mask) }
        do {
            return try await bootstrap(group, router).bind(unixDomainSocketPath: path).get()
        } catch {
            throw AdminFailure("cannot listen on \(path): \(BackendRefusal.explain(error).cause)")
        }
    }

    private static func bootstrap(
        _ group: MultiThreadedEventLoopGroup,
        _ router: any HTTPRouter
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimiter(limit: 16))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try HTTPConnection.configure(channel, router)
                }
            }
    }

    /// - Parameter grace: for answers on their way, one of which may be to the very request that brought the end.
    func stop(grace: Duration = .zero) async {
        for channel in channels { try? await channel.close() }
        if !socketPath.isEmpty { unlink(socketPath) }
        try? await Task.sleep(for: grace)
        try? await group.shutdownGracefully()
    }
}

/// The admin socket and the port for metrics of a process: each changes by itself.
final class AdminServers: Sendable {
    private struct State {
        var socket: AdminServer?
        var metrics: AdminServer?
        var ending: [Task<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    var eventLoops: [any EventLoop] {
        state.withLock { [$0.socket, $0.metrics].compactMap { $0 }.flatMap(\.eventLoops) }
    }

    /// Brings both to what `new` says; what has not changed goes on. A failure is logged: the tunnel matters more than
    /// being asked how it is.
    func apply(_ new: ProcessConfiguration, _ old: ProcessConfiguration?, _ router: any HTTPRouter) async {
        if new.adminSocket != old?.adminSocket {
            retire(state.withLock { state in take(&state.socket) })
            var only = new
            only.metrics = nil
            let server = await start(only, router)
            state.withLock { $0.socket = server }
        }
        if new.metrics != old?.metrics {
            retire(state.withLock { state in take(&state.metrics) })
            var only = new
            only.adminSocket = ""
            let server = await start(only, router)
            state.withLock { $0.metrics = server }
        }
    }

    private func take(_ server: inout AdminServer?) -> AdminServer? {
        defer { server = nil }
        return server
    }

    private func retire(_ server: AdminServer?) {
        guard let server else { return }
        state.withLock { state in state.ending.append(Task { await server.stop(grace: .seconds(1)) }) }
    }

    private func start(_ configuration: ProcessConfiguration, _ router: any HTTPRouter) async -> AdminServer? {
        guard !configuration.adminSocket.isEmpty || configuration.metrics != nil else { return nil }
        do {
            let server = try await AdminServer.start(configuration, router)
            if let port = server.metricsPort { logger.info("metrics served", metadata: ["port": "\(port)"]) }
            return server
        } catch {
            let what: Logger.Message = configuration.metrics == nil ? "no admin socket" : "no metrics"
            logger.warning(what, metadata: ["cause": "\(BackendRefusal.explain(error).cause)"])
            return nil
        }
    }

    func stop() async {
        let (servers, ending) = state.withLock { state in
            defer { state = State() }
            return ([state.socket, state.metrics].compactMap { $0 }, state.ending)
        }
        for server in servers { await server.stop() }
        for task in ending { await task.value }
    }
}

/// The part of a router that a port may have.
private struct MetricsOnly: HTTPRouter {
    let router: any HTTPRouter

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard ["/metrics", "/healthz"].contains(request.path) else {
            return .error(.notFound, "here are /metrics and /healthz; the rest is on the admin socket")
        }
        guard ["GET", "HEAD"].contains(request.method) else { return .error(.methodNotAllowed, "only GET") }
        return await router.answer(request)
    }
}

/// What went wrong with the admin socket, on either end.
struct AdminFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
