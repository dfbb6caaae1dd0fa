package import AdminProtocol
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Those that sign certificates and ask the authority's store, which may take its time or be away: nobody else waits for them.
package enum AuthorityThreads {
    private static let count = 2
    /// What waits for them; more is refused, since anybody can ask to be enrolled.
    static let limit = 200

    private static let waiting = Atomic<Int>(0)
    private static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: count)
        pool.start()
        return pool
    }()

    /// - Returns: nil where too many wait already.
    static func run<Result: Sendable>(
        on eventLoop: any EventLoop,
        _ body: @escaping @Sendable () -> Result
    ) -> EventLoopFuture<Result>? {
        guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            waiting.wrappingAdd(-1, ordering: .relaxed)
            return nil
        }
        return pool.runIfActive(eventLoop: eventLoop) {
            defer { waiting.wrappingAdd(-1, ordering: .relaxed) }
            return body()
        }
    }

    /// What an authority has issued and handed out.
    package struct Known: Sendable {
        package var certificates: [ServiceStatus.Certificate]?
        package var tokens: [ServiceStatus.Token]?
    }

    package static func known(to authority: any CertificateAuthority) async -> Known? {
        try? await run { Known(certificates: authority.certificates(), tokens: authority.tokens()) }
    }

    /// For administrators, who are few.
    package static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await pool.runIfActive(body)
    }
}
