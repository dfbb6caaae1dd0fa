package import Logging
package import NIOCore
package import Networking
internal import Synchronization

/// A listener that can be exchanged while the process runs. An address that somebody else has, such as an earlier process that
/// is still ending, is taken as soon as it is free: the tunnel matters more than being asked how it is.
package final class RetriedListener: Sendable {
    private struct State {
        var listener: HTTPListener?
        /// Closes what there was before.
        var ending: Task<Void, Never>?
        /// Opens what could not be opened yet.
        var retry: Task<Void, Never>?
    }

    package typealias Open = @Sendable () async throws -> HTTPListener

    private let name: String
    private let state = Mutex(State())
    private let logger: Logger

    /// - Parameter name: for the log.
    package init(_ name: String, logger: Logger) {
        self.name = name
        self.logger = logger
    }

    package var eventLoops: [any EventLoop] { state.withLock { $0.listener?.eventLoops ?? [] } }

    /// Closes what there is, and opens another one.
    ///
    /// - Parameter open: nil for none; its failure is logged, and it is called again each second.
    /// - Returns: why there is none yet.
    @discardableResult
    package func replace(_ open: Open?) async -> String? {
        await endRetry()
        if let old = take() {
            state.withLock { state in
                let before = state.ending
                state.ending = Task {
                    await old.stop(grace: .seconds(1))
                    await before?.value
                }
            }
        }
        guard let open else { return nil }
        do {
            let listener = try await open()
            state.withLock { $0.listener = listener }
            return nil
        } catch {
            logger.warning("\(name) not served yet", metadata: ["cause": "\(error)"])
            retry(open)
            return "\(name) not served yet: \(error)"
        }
    }

    private func retry(_ open: @escaping Open) {
        let task = Task { [self] in
            // Nobody tells when an address becomes free, so it is tried again each second.
            while true {
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
                guard let listener = try? await open() else { continue }
                state.withLock { $0.listener = listener }
                logger.notice("\(name) served now")
                return
            }
        }
        state.withLock { $0.retry = task }
    }

    private func endRetry() async {
        let retry = state.withLock { state in
            defer { state.retry = nil }
            return state.retry
        }
        retry?.cancel()
        await retry?.value
    }

    private func take() -> HTTPListener? {
        state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
    }

    /// Closes it, and waits until its connections are gone.
    package func stop() async {
        await endRetry()
        await take()?.stop()
        await state.withLock { $0.ending }?.value
    }
}
