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

struct AdminRequest: Sendable {
    var method: String
    /// Without a query.
    var path: String
    var body: [UInt8]
}

struct AdminResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType = "application/json"
    var body: [UInt8]

    static func json(_ value: some Encodable, _ status: HTTPResponseStatus = .ok) -> AdminResponse {
        AdminResponse(status: status, body: JSONLines.encode(value))
    }

    static func error(_ status: HTTPResponseStatus, _ text: String) -> AdminResponse {
        json(AdminError(error: text), status)
    }

    static func metrics(_ exposition: Exposition) -> AdminResponse {
        AdminResponse(
            status: .ok,
            contentType: "text/plain; version=0.0.4; charset=utf-8",
            body: Array(exposition.text.utf8)
        )
    }
}

struct AdminError: Codable, Sendable {
    var error: String
}

/// Who answers on the admin socket.
protocol AdminRouter: Sendable {
    func answer(_ request: AdminRequest) async -> AdminResponse
}

/// HTTP/1.1 for `connectord status` and its kind on a Unix socket, and for Prometheus on a loopback port. Who may use
/// the socket, its folder's mode says; the port has metrics only.
final class AdminServer: Sendable {
    private let channels: [any Channel]
    private let group: MultiThreadedEventLoopGroup
    private let socketPath: String
    let metricsPort: Int?

    /// Octets of a request's body.
    static let bodyLimit = 1 << 20

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

    static func start(_ configuration: ProcessConfiguration, _ router: any AdminRouter) async throws -> AdminServer {
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
        _ router: any AdminRouter
    ) async throws -> any Channel {
        if access(path, F_OK) == 0 {
            if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
                try? await other.close()
                throw AdminFailure("another process answers on \(path)")
            }
            unlink(path)
        } else if let folder = path.lastIndex(of: "/").map({ String(path[..<$0]) }), !folder.isEmpty {
            mkdir(folder, 0o750)
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
        _ router: any AdminRouter
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
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandlers(
                        IdleStateHandler(allTimeout: .seconds(60)),
                        AdminConnection(router)
                    )
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
    func apply(_ new: ProcessConfiguration, _ old: ProcessConfiguration?, _ router: any AdminRouter) async {
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

    private func start(_ configuration: ProcessConfiguration, _ router: any AdminRouter) async -> AdminServer? {
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
private struct MetricsOnly: AdminRouter {
    let router: any AdminRouter

    func answer(_ request: AdminRequest) async -> AdminResponse {
        guard ["/metrics", "/healthz"].contains(request.path) else {
            return .error(.notFound, "here are /metrics and /healthz; the rest is on the admin socket")
        }
        guard ["GET", "HEAD"].contains(request.method) else { return .error(.methodNotAllowed, "only GET") }
        return await router.answer(request)
    }
}

private final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let router: any AdminRouter
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ router: any AdminRouter) { self.router = router }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let buffer):
            guard body.count + buffer.readableBytes <= AdminServer.bodyLimit else {
                head = nil
                write(.error(.payloadTooLarge, "at most \(AdminServer.bodyLimit) octets"), false, context)
                return
            }
            body += Array(buffer.readableBytesView)
        case .end:
            guard let head else { return }
            let path = String(head.uri.prefix { $0 != "?" })
            let request = AdminRequest(method: head.method.rawValue, path: path, body: body)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.makeFutureWithTask { [router] in await router.answer(request) }
                .assumeIsolated()
                .whenSuccess { response in
                    let (connection, context) = bound.value
                    connection.write(response, head.isKeepAlive, context)
                }
        }
    }

    private func write(_ response: AdminResponse, _ isKeptAlive: Bool, _ context: ChannelHandlerContext) {
        let headers: HTTPHeaders = [
            "content-type": response.contentType, "content-length": String(response.body.count),
            "cache-control": "no-store", "x-content-type-options": "nosniff",
            "connection": isKeptAlive ? "keep-alive" : "close",
        ]
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: response.status, headers: headers))),
            promise: nil
        )
        if head?.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !isKeptAlive { bound.value.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// What went wrong with the admin socket, on either end.
struct AdminFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
