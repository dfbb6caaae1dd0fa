package import Logging
package import NIOCore
package import Networking
internal import TextFormats

/// The admin socket and the port for metrics of a process: each changes by itself.
package final class AdminServers: Sendable {
    private static let maxConnections = 16

    private let socket: RetriedListener
    private let metrics: RetriedListener
    private let logger: Logger

    package init(logger: Logger) {
        socket = RetriedListener("admin socket", logger: logger)
        metrics = RetriedListener("metrics", logger: logger)
        self.logger = logger
    }

    package var eventLoops: [any EventLoop] { socket.eventLoops + metrics.eventLoops }

    /// Brings both to what `new` says; what has not changed goes on.
    package func apply(_ new: ProcessConfiguration, _ old: ProcessConfiguration?, _ router: any HTTPRouter) async {
        if new.adminSocket != old?.adminSocket { await socket.replace(Self.socket(new.adminSocket, router)) }
        if new.metrics != old?.metrics { await metrics.replace(new.metrics.map { port($0, router) }) }
    }

    private static func socket(_ path: String, _ router: any HTTPRouter) -> RetriedListener.Open? {
        guard !path.isEmpty else { return nil }
        return {
            let listener = try await HTTPListener.bind(socket: path, maxConnections: maxConnections)
            try await listener.serve(router)
            return listener
        }
    }

    private func port(_ address: HostPort, _ router: any HTTPRouter) -> RetriedListener.Open {
        let logger = logger
        return {
            let listener = try await HTTPListener.bind(
                address,
                as: "admin.metrics",
                maxConnections: Self.maxConnections
            )
            try await listener.serve(Self.metricsOnly(router))
            logger.info("metrics served", metadata: ["port": "\(listener.port)"])
            return listener
        }
    }

    /// The part of the routes that a port may have.
    private static func metricsOnly(_ router: any HTTPRouter) -> HTTPRoutes {
        HTTPRoutes(
            hint: "here are /metrics and /healthz; the rest is on the admin socket",
            [
                .get("/metrics") { await router.answer($0) },
                .get("/healthz") { await router.answer($0) },
            ]
        )
    }

    /// Closes all of them, and waits until their connections are gone.
    package func stop() async {
        await socket.stop()
        await metrics.stop()
    }
}
