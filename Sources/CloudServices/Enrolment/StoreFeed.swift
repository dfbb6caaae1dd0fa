package import AdminProtocol
internal import HostSystem
package import Logging
internal import NIOPosix
package import PostgreSQL
internal import Synchronization

/// Hears of what other instances have changed, on a connection and a thread of its own. After each logon it listens first, then everything is
/// read, so that nothing is missed in between.
package final class StoreFeed: Sendable {
    private let address: DatabaseAddress
    private let logger: Logger
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let pause = ThreadPause()
    private let state = Mutex(State())

    private struct State {
        var status: StoreStatus
        init() { status = StoreStatus(address: "", isUp: false, since: WallClock.seconds(), cause: "not reached yet") }
    }

    /// Between two looks at whether it is to end, in milliseconds.
    private static let turn: Int32 = 250
    /// Turns between two questions that show whether the server is there.
    private static let quietTurns = 20
    /// Milliseconds between two attempts, at least and at most.
    private static let pauses = (250, 5000)

    package init(_ address: DatabaseAddress, logger: Logger) {
        (self.address, self.logger) = (address, logger)
        state.withLock { $0.status.address = address.shown }
    }

    package var status: StoreStatus { state.withLock { $0.status } }

    /// - Parameter changed: reads what may have changed, by its topics; all of it where there are none. Called on the feed's thread.
    package func start(_ changed: @escaping @Sendable (Set<String>?) throws -> Void) {
        thread.start()
        thread.submit { [self] _ in run(changed) }
    }

    /// Returns when the thread is done.
    package func stop() async {
        pause.end()
        try? await thread.shutdownGracefully()
    }

    private func run(_ changed: (Set<String>?) throws -> Void) {
        var limit = Self.pauses.0
        while !pause.isOver {
            do {
                let connection = try DatabaseConnection(address)
                try connection.run("LISTEN \(StoreSchema.channel)")
                try changed(nil)
                isUp(true, "")
                limit = Self.pauses.0
                try listen(connection, changed)
            } catch {
                if pause.isOver { return }
                isUp(false, "\(error)")
                pause.wait(milliseconds: Int.random(in: limit / 2...limit))
                limit = min(limit * 2, Self.pauses.1)
            }
        }
    }

    private func listen(_ connection: DatabaseConnection, _ changed: (Set<String>?) throws -> Void) throws {
        var quiet = 0
        while !pause.isOver {
            let topics = try connection.waitForNotifications(milliseconds: Self.turn)
            if topics.isEmpty {
                quiet += 1
            } else {
                try changed(topics)
                quiet = 0
            }
            guard quiet >= Self.quietTurns else { continue }
            // A connection that was cut in the middle says nothing of it.
            try connection.run("SELECT 1")
            quiet = 0
        }
    }

    private func isUp(_ isUp: Bool, _ cause: String) {
        let isNews = state.withLock { state in
            let isNews = state.status.isUp != isUp
            if isNews { state.status.since = WallClock.seconds() }
            (state.status.isUp, state.status.cause) = (isUp, cause)
            return isNews
        }
        guard isNews else { return }
        if isUp {
            logger.notice("the store is there", metadata: ["store": "\(address.shown)"])
        } else {
            logger.error(
                "the store is away: requests go on, enrolment and changes are refused until it is back",
                metadata: ["store": "\(address.shown)", "cause": "\(cause)"]
            )
        }
    }
}
