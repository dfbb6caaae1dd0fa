internal import NIOCore
internal import Synchronization
internal import TunnelCore

/// Which tunnels are up, for whoever asks.
final class ConnectorState: Sendable {
    private struct Tunnels {
        var connected: [Int: TunnelReference] = [:]
        var lastErrors: [Int: String] = [:]
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let tunnels = Mutex(Tunnels())

    var connectedTunnels: Int { tunnels.withLock { $0.connected.count } }
    var lastErrors: [Int: String] { tunnels.withLock { $0.lastErrors } }

    func tunnelConnected(_ index: Int, _ handler: TunnelReference) {
        let waiting = tunnels.withLock { tunnels in
            tunnels.connected[index] = handler
            tunnels.lastErrors[index] = nil
            defer { tunnels.waiting = [] }
            return tunnels.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func tunnelFailed(_ index: Int, _ cause: String) {
        tunnels.withLock { $0.lastErrors[index] = cause }
    }

    /// - Returns: whether it was connected.
    func tunnelClosed(_ index: Int) -> Bool {
        tunnels.withLock { $0.connected.removeValue(forKey: index) != nil }
    }

    func handlers() -> [TunnelReference] { tunnels.withLock { Array($0.connected.values) } }

    /// Returns as soon as one tunnel is up.
    func waitUntilConnected() async {
        await withCheckedContinuation { continuation in
            let isConnected = tunnels.withLock { tunnels in
                if tunnels.connected.isEmpty { tunnels.waiting.append(continuation) }
                return !tunnels.connected.isEmpty
            }
            if isConnected { continuation.resume() }
        }
    }
}

/// A tunnel, as seen from other threads.
struct TunnelReference: Sendable {
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<TunnelHandler>

    init(_ handler: TunnelHandler) {
        eventLoop = handler.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: handler.eventLoop)
    }

    func execute(_ body: @escaping @Sendable (TunnelHandler) -> Void) {
        eventLoop.execute { body(handler.value) }
    }
}
