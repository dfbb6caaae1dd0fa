internal import HostSystem
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Watches what the process takes. Above the limit new work is refused and idle connections go; after a crowd has left, its
/// memory goes back to the system.
final class MemoryGuard: Sendable {
    private let short = Atomic<Bool>(false)
    private let shortages = Atomic<Int>(0)
    private let limit: Atomic<Int>
    private let crowd = Mutex(CrowdWatch())

    /// - Parameter limit: bytes; 0 for none.
    init(limit: Int) { self.limit = Atomic(limit) }

    var isShort: Bool { short.load(ordering: .relaxed) }
    /// Times at which the limit was reached.
    var shortageCount: Int { shortages.load(ordering: .relaxed) }

    func setLimit(_ bytes: Int) { limit.store(bytes, ordering: .relaxed) }

    /// Looks once. Called every second, not on an event loop that has better things to do.
    ///
    /// - Parameters:
    ///   - connections: open now, of all listeners.
    ///   - peak: the most of them since the last look.
    /// - Returns: whether a shortage begins (true) or ends (false).
    func look(resident: Int = ProcessMemory.resident(), connections: Int, peak: Int) -> Bool? {
        let limit = limit.load(ordering: .relaxed)
        let mustRelease = crowd.withLock { $0.look(connections, peak: peak) }
        let wasShort = isShort
        // Nine tenths end it, so that it does not begin and end all the time.
        let isShort = limit > 0 && resident > (wasShort ? limit / 10 * 9 : limit)
        if isShort || mustRelease { ProcessMemory.release() }
        guard isShort != wasShort else { return nil }
        short.store(isShort, ordering: .relaxed)
        if isShort { shortages.wrappingAdd(1, ordering: .relaxed) }
        return isShort
    }
}

/// Notices that most of a crowd of connections has gone.
struct CrowdWatch {
    /// Fewer are not a crowd.
    static let smallest = 200
    private var peak = 0

    /// - Returns: whether the memory that it took is worth giving back.
    mutating func look(_ connections: Int, peak recent: Int) -> Bool {
        peak = max(peak, recent, connections)
        guard peak >= Self.smallest, connections < peak / 2 else { return false }
        peak = connections
        return true
    }
}
