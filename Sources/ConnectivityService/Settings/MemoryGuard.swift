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
    private let watch = Mutex(MemoryWatch())

    /// - Parameter limit: bytes; 0 for none.
    init(limit: Int) { self.limit = Atomic(limit) }

    var isShort: Bool { short.load(ordering: .relaxed) }
    /// Times at which the limit was reached.
    var shortageCount: Int { shortages.load(ordering: .relaxed) }

    func setLimit(_ bytes: Int) { limit.store(bytes, ordering: .relaxed) }

    /// Looks once. Called every second, not on an event loop that has better things to do.
    ///
    /// - Returns: whether a shortage begins (true) or ends (false).
    func look(resident: Int = ProcessMemory.resident()) -> Bool? {
        let limit = limit.load(ordering: .relaxed)
        watch.withLock { $0.look() }
        let wasShort = isShort
        // Nine tenths end it, so that it does not begin and end all the time.
        let isShort = limit > 0 && resident > (wasShort ? limit / 10 * 9 : limit)
        if isShort { ProcessMemory.release() }
        guard isShort != wasShort else { return nil }
        short.store(isShort, ordering: .relaxed)
        if isShort { shortages.wrappingAdd(1, ordering: .relaxed) }
        return isShort
    }
}
