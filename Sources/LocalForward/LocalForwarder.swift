package import Logging
internal import NIOCore
internal import NIOPosix
internal import Networking
package import TextFormats

/// A local port that leads to a TCP system behind a Cloud Connector, for programs that do not speak SAP's SOCKS5.
package struct LocalForwarder: Sendable {
    /// The virtual host and port that connections lead to.
    package struct Target: Sendable {
        /// The virtual host and port.
        var system: HostPort
        var locationID: String
        var tenant: String?

        package init(system: HostPort, locationID: String, tenant: String?) {
            (self.system, self.locationID, self.tenant) = (system, locationID, tenant)
        }
    }

    /// Connections at the same time.
    package static let maxConnections = 1000
    /// From the local connection to the first byte that may go through.
    private static let handshakeTimeout = TimeAmount.seconds(60)

    private let binding: ConnectivityBinding
    private let target: Target
    private let tokens: TokenKeeper
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup.singleton

    /// - Parameter trust: a file with certificates for a token service that speaks https.
    package init(_ binding: ConnectivityBinding, _ target: Target, trust: String?, _ logger: Logger) throws {
        (self.binding, self.target, self.logger) = (binding, target, logger)
        tokens = TokenKeeper(binding, tenant: target.tenant, try HTTPClient(trust: trust))
    }

    /// Listens until its task is cancelled. Connections that are open then go on until the process ends.
    ///
    /// - Parameter started: gets the port.
    /// - Throws: `ListenError`, or why there is no token.
    package func run(_ address: HostPort, started: @Sendable (Int) -> Void) async throws {
        _ = try await tokens.token()
        let server = try await listen(address)
        started(server.channel.localAddress?.port ?? 0)
        try await server.executeThenClose { clients in
            await withDiscardingTaskGroup { tasks in
                let count = OpenCount()
                do {
                    for try await client in clients {
                        guard await count.enter(Self.maxConnections) else {
                            logger.warning("connection refused", metadata: ["cause": "\(Self.maxConnections) are open"])
                            client.close(promise: nil)
                            continue
                        }
                        tasks.addTask {
                            await forward(client)
                            await count.leave()
                        }
                    }
                } catch {
                    logger.error("no more connections are taken", metadata: ["cause": "\(error)"])
                }
            }
        }
    }

    private func listen(_ address: HostPort) async throws -> NIOAsyncChannel<any Channel, Never> {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.autoRead, value: false)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .bind(host: address.host, port: address.port) { channel in
                    channel.eventLoop.makeSucceededFuture(channel as any Channel)
                }
        } catch {
            throw ListenError(address.description, error)
        }
    }

    /// Returns when the connection has ended.
    private func forward(_ client: any Channel) async {
        do {
            do {
                try await link(client, try await tokens.token())
            } catch SocksClientHandshake.Failure.notAuthenticated {
                // Once more, with a new one: keys may have been exchanged.
                await tokens.forget(try await tokens.token())
                try await link(client, try await tokens.token())
            }
            try await client.closeFuture.get()
        } catch {
            let cause = (error as? SocksClientHandshake.Failure).map { "\($0)" } ?? ConnectionError(error).cause
            logger.warning(
                "connection failed",
                metadata: ["target": "\(target.system)", "location_id": "\(target.locationID)", "cause": "\(cause)"]
            )
            try? await client.close()
        }
    }

    private func link(_ client: any Channel, _ token: String) async throws {
        let loop = client.eventLoop
        let promise = loop.makePromise(of: ByteBuffer.self)
        let handshake = SocksClientHandshake(
            token: token,
            locationID: target.locationID,
            host: target.system.host,
            port: UInt16(clamping: target.system.port)
        )
        let connecting = ClientBootstrap(group: loop)
            .resolver(HostResolver(on: loop))
            .connectTimeout(.seconds(10))
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SocksConnector(handshake, promise))
                }
            }
            .connect(host: binding.proxy.host, port: binding.proxy.port)
        connecting.whenFailure { promise.fail($0) }
        let timer = loop.scheduleTask(in: Self.handshakeTimeout) {
            promise.fail(ChannelError.connectTimeout(Self.handshakeTimeout))
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        promise.futureResult.whenFailure { _ in connecting.whenSuccess { $0.close(promise: nil) } }
        let rest = try await promise.futureResult.get()
        let service = try await connecting.get()
        try await loop.submit {
            let (left, right) = ForwardLink.pair()
            try client.pipeline.syncOperations.addHandler(left)
            try service.pipeline.syncOperations.addHandler(right)
            if rest.readableBytes > 0 { client.writeAndFlush(rest, promise: nil) }
            // The first time; from now on each one asks for more when the other has taken what there was.
            client.read()
            service.read()
        }.get()
    }
}

/// Connections that are open.
private actor OpenCount {
    private var count = 0

    func enter(_ limit: Int) -> Bool {
        guard count < limit else { return false }
        count += 1
        return true
    }

    func leave() { count -= 1 }
}
