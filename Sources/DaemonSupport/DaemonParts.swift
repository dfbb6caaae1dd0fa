internal import Logging
internal import ServiceLifecycle
internal import Synchronization

/// What a daemon is made of, in the order in which it was started. The end comes in reverse order, and so does the way back from a
/// start that fails.
package final class DaemonParts: Sendable {
    private struct Part: Service {
        let stop: @Sendable () async -> Void

        func run() async throws {
            try? await gracefulShutdown()
            await stop()
        }
    }

    private let parts = Mutex<[Part]>([])

    private init() {}

    /// Starts a daemon, part by part.
    ///
    /// - Parameter body: where it throws, what it has started is stopped again.
    package static func start<Daemon>(
        _ body: (DaemonParts) async throws -> Daemon
    ) async throws -> (Daemon, DaemonParts) {
        let parts = DaemonParts()
        do {
            return (try await body(parts), parts)
        } catch {
            await parts.stop()
            throw error
        }
    }

    /// Stops all of them, the last one first.
    package func stop() async {
        for part in parts.withLock({ $0 }).reversed() { await part.stop() }
    }

    /// Says how what was just started is stopped.
    package func add(stop: @escaping @Sendable () async -> Void) {
        parts.withLock { $0.append(Part(stop: stop)) }
    }

    var services: [any Service] { parts.withLock { $0 } }
}
