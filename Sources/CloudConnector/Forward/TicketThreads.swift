internal import NIOPosix

/// Those that wait for KDCs, so that others need not: name resolution uses the threads that everybody shares.
enum TicketThreads {
    /// For what a KDC has to be asked for.
    static let pool = started(4)
    /// For what is only computed, beside a KDC that does not answer.
    static let quick = started(2)

    private static func started(_ count: Int) -> NIOThreadPool {
        let pool = NIOThreadPool(numberOfThreads: count)
        pool.start()
        return pool
    }

    static func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { done in
            pool.submit { _ in done.resume(returning: body()) }
        }
    }
}
