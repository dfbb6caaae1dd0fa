internal import HostSystem
package import Logging
package import NIOCore
package import Networking
internal import Synchronization
internal import TextFormats

/// The admin socket and the port for metrics of a process: each changes by itself.
package final class AdminServers: Sendable {
    private struct State {
        var socket: HTTPListener?
        var metrics: HTTPListener?
        var ending: [Task<Void, Never>] = []
        /// Opens what could not be opened yet.
        var retries: Task<Void, Never>?
    }

    private static let maxConnections = 16

    private let state = Mutex(State())
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    package var eventLoops: [any EventLoop] {
        state.withLock { [$0.socket, $0.metrics].compactMap { $0 }.flatMap(\.eventLoops) }
    }

    /// Brings both to what `new` says; what has not changed goes on. A failure is logged: the tunnel matters more than
    /// being asked how it is. An address that somebody else has, such as an earlier process that is still ending, is taken as
    /// soon as it is free.
    package func apply(_ new: ProcessConfiguration, _ old: ProcessConfiguration?, _ router: any HTTPRouter) async {
        var parts: [Part] = []
        if new.adminSocket != old?.adminSocket {
            retire(state.withLock { state in take(&state.socket) })
            if !new.adminSocket.isEmpty { parts.append(.socket(new.adminSocket, router)) }
        }
        if new.metrics != old?.metrics {
            retire(state.withLock { state in take(&state.metrics) })
            if let address = new.metrics { parts.append(.metrics(address, Self.metricsOnly(router))) }
        }
        guard !parts.isEmpty || new.adminSocket != old?.adminSocket || new.metrics != old?.metrics else { return }
        await endRetries()
        var missing: [Part] = []
        for part in parts {
            do {
                try await open(part)
            } catch {
                logger.warning("\(part.name) not served yet", metadata: ["cause": "\(error)"])
                missing.append(part)
            }
        }
        retry(missing)
    }

    private enum Part: Sendable {
        case socket(String, any HTTPRouter)
        case metrics(HostPort, any HTTPRouter)

        var name: String {
            switch self {
            case .socket: "admin socket"
            case .metrics: "metrics"
            }
        }
    }

    private func open(_ part: Part) async throws {
        switch part {
        case .socket(let path, let router):
            let listener = try await HTTPListener.bind(socket: path, maxConnections: Self.maxConnections)
            try await listener.serve(router)
            state.withLock { $0.socket = listener }
        case .metrics(let address, let router):
            let listener = try await HTTPListener.bind(
                address,
                as: "admin.metrics",
                maxConnections: Self.maxConnections
            )
            try await listener.serve(router)
            logger.info("metrics served", metadata: ["port": "\(listener.port)"])
            state.withLock { $0.metrics = listener }
        }
    }

    private func retry(_ parts: [Part]) {
        guard !parts.isEmpty else { return }
        let logger = logger
        let task = Task {
            var missing = parts
            while !missing.isEmpty {
                // Nobody tells when an address becomes free, so it is tried again each second.
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
                var left: [Part] = []
                for part in missing {
                    do {
                        try await open(part)
                        logger.notice("\(part.name) served now")
                    } catch {
                        left.append(part)
                    }
                }
                missing = left
            }
        }
        state.withLock { $0.retries = task }
    }

    private func endRetries() async {
        let retries = state.withLock { state in
            defer { state.retries = nil }
            return state.retries
        }
        retries?.cancel()
        await retries?.value
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

    private func take(_ listener: inout HTTPListener?) -> HTTPListener? {
        defer { listener = nil }
        return listener
    }

    private func retire(_ listener: HTTPListener?) {
        guard let listener else { return }
        state.withLock { state in state.ending.append(Task { await listener.stop(grace: .seconds(1)) }) }
    }

    /// Closes all of them, and waits until their connections are gone.
    package func stop() async {
        await endRetries()
        let (listeners, ending) = state.withLock { state in
            defer { state = State() }
            return ([state.socket, state.metrics].compactMap { $0 }, state.ending)
        }
        for listener in listeners { await listener.stop() }
        for task in ending { await task.value }
    }
}
