internal import Logging
internal import Synchronization

/// Which tunnels are up and why others are not, for whoever asks.
package final class ConnectorState: Sendable {
    private struct Tunnels {
        var live: [Int: DialedTunnel] = [:]
        var failures: [String: String] = [:]
        var waiting: [(id: Int, fleet: Int?, count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var lastWaiting = 0
        var lastID = 0
        var connects = 0
        var disconnects = 0
        var failedAttempts = 0
        var floods = 0

        func count(_ fleet: Int?) -> Int { live.values.count { fleet == nil || $0.fleet == fleet } }

        /// - Returns: those who have what they waited for.
        mutating func takeSatisfied() -> [CheckedContinuation<Void, Never>] {
            let all = waiting
            waiting = all.filter { count($0.fleet) < $0.count }
            return all.filter { count($0.fleet) >= $0.count }.map(\.continuation)
        }
    }

    struct Counts: Sendable {
        var connects = 0
        var disconnects = 0
        var failedAttempts = 0
        /// Tunnels that were closed because the service kept the connector busy for nothing.
        var floods = 0
    }

    private let tunnels = Mutex(Tunnels())

    package var connectedTunnels: Int { tunnels.withLock { $0.live.count } }
    package var failures: [String: String] { tunnels.withLock { $0.failures } }
    var counts: Counts {
        tunnels.withLock {
            Counts(
                connects: $0.connects,
                disconnects: $0.disconnects,
                failedAttempts: $0.failedAttempts,
                floods: $0.floods
            )
        }
    }

    func countFlood() { tunnels.withLock { $0.floods += 1 } }

    func nextTunnelID() -> Int {
        tunnels.withLock { tunnels in
            tunnels.lastID += 1
            return tunnels.lastID
        }
    }

    func connected(_ tunnel: DialedTunnel) {
        let satisfied = tunnels.withLock { tunnels in
            tunnels.live[tunnel.id] = tunnel
            tunnels.failures[tunnel.target.name] = nil
            tunnels.connects += 1
            return tunnels.takeSatisfied()
        }
        for continuation in satisfied { continuation.resume() }
    }

    /// Says so once for each cause, so that a service that stays away does not fill the log.
    func failed(_ name: String, _ cause: String, _ logger: Logger) {
        let isNews = tunnels.withLock { tunnels in
            tunnels.failedAttempts += 1
            return tunnels.failures.updateValue(cause, forKey: name) != cause
        }
        logger.log(
            level: isNews ? .warning : .debug,
            "tunnel not connected",
            metadata: ["service": "\(name)", "cause": "\(cause)"]
        )
    }

    /// The address is no longer one of the service's.
    func forget(_ name: String) { tunnels.withLock { $0.failures[name] = nil } }

    /// - Returns: whether it was connected.
    func closed(_ tunnel: DialedTunnel) -> Bool {
        tunnels.withLock { tunnels in
            let wasLive = tunnels.live.removeValue(forKey: tunnel.id) != nil
            if wasLive { tunnels.disconnects += 1 }
            return wasLive
        }
    }

    func isLive(_ tunnel: DialedTunnel) -> Bool { tunnels.withLock { $0.live[tunnel.id] != nil } }

    func live(fleet: Int? = nil) -> [DialedTunnel] {
        tunnels.withLock { $0.live.values.filter { fleet == nil || $0.fleet == fleet } }.sorted { $0.id < $1.id }
    }

    /// Returns as soon as so many tunnels are up, or the task is cancelled.
    package func waitUntilConnected(_ count: Int = 1, fleet: Int? = nil) async {
        let id = tunnels.withLock { tunnels in
            tunnels.lastWaiting += 1
            return tunnels.lastWaiting
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = tunnels.withLock { tunnels in
                    let isOver = tunnels.count(fleet) >= count || Task.isCancelled
                    if !isOver { tunnels.waiting.append((id, fleet, count, continuation)) }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = tunnels.withLock { tunnels in
                let index = tunnels.waiting.firstIndex { $0.id == id }
                return index.map { tunnels.waiting.remove(at: $0) }
            }
            waiter?.continuation.resume()
        }
    }

    /// Lets everyone go who waits, whether or not there are tunnels: the connector ends.
    func release() {
        let waiting = tunnels.withLock { tunnels in
            defer { tunnels.waiting = [] }
            return tunnels.waiting
        }
        for entry in waiting { entry.continuation.resume() }
    }
}
