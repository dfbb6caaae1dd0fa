internal import Synchronization

/// What the programs of one subaccount take at the moment, on all event loops.
final class TenantUsage: Sendable {
    private let held = Atomic<Int>(0)
    private let connections = Atomic<Int>(0)

    /// Bytes of responses that have come through tunnels and that clients have not taken.
    var heldBytes: Int { held.load(ordering: .relaxed) }
    func hold(_ bytes: Int) { held.wrappingAdd(bytes, ordering: .relaxed) }

    var connectionCount: Int { connections.load(ordering: .relaxed) }
    func addConnection() { connections.wrappingAdd(1, ordering: .relaxed) }
    func removeConnection() { connections.wrappingAdd(-1, ordering: .relaxed) }
}
