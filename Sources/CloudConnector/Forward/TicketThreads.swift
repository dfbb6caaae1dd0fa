internal import NIOPosix

/// Those that wait for KDCs, so that others need not: name resolution uses the threads that everybody shares.
enum TicketThreads {
    private static let count = 4

    static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: count)
        pool.start()
        return pool
    }()

    static func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { done in
            pool.submit { _ in done.resume(returning: body()) }
        }
    }
}
