internal import AccessPolicy
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// The on-premise side for one subaccount: tunnels to the connectivity service, and what is forwarded from them.
struct Connector: Sendable {
    let state = ConnectorState()
    private let configuration: ConnectorConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let loops: PerLoop<ConnectorLoop>
    private let context: TLSContext
    private let logger: Logger

    /// Reads certificates and keys; nothing is dialled yet.
    init(_ configuration: ConnectorConfiguration, logger: Logger) async throws {
        let context = try TLSContext(configuration.tunnelTLS)
        let backendTLS = try TLSContext(configuration.backendTLS)
        let policy = AccessPolicy(systems: configuration.systems)
        let threads = min(configuration.eventLoops, configuration.tunnel.connections)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        self.configuration = configuration
        self.context = context
        self.group = group
        self.logger = logger
        self.loops = try await PerLoop.make(Array(group.makeIterator())) { eventLoop in
            let loop = ConnectorLoop(
                eventLoop,
                policy: policy,
                backendTLS: backendTLS,
                configuration: configuration.forwarding,
                logger: logger
            )
            loop.sweeper.start(on: eventLoop)
            return loop
        }
    }

    /// Keeps the tunnels up until the task is cancelled, then says goodbye.
    func run() async throws {
        let eventLoops = Array(group.makeIterator())
        await withTaskGroup { tasks in
            for index in 0..<configuration.tunnel.connections {
                let dialer = TunnelDialer(
                    index: index,
                    configuration: configuration.dialer,
                    context: context,
                    eventLoop: eventLoops[index % eventLoops.count],
                    loops: loops,
                    state: state,
                    logger: logger
                )
                tasks.addTask { await withTaskCancellationHandler(operation: dialer.run, onCancel: disconnect) }
            }
        }
        try await group.shutdownGracefully()
    }

    @Sendable private func disconnect() {
        for handler in state.handlers() {
            handler.execute {
                $0.drain()
                $0.close(nil)
            }
        }
    }
}
