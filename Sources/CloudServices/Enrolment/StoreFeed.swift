package import AdminProtocol
internal import Glibc
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
    private let state = Mutex(State())

    private struct State {
        var isEnding = false
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
        state.withLock { $0.isEnding = true }
        try? await thread.shutdownGracefully()
    }

    private var isEnding: Bool { state.withLock { $0.isEnding } }

    private func run(_ changed: (Set<String>?) throws -> Void) {
        var pause = Self.pauses.0
        while !isEnding {
            do {
                let connection = try DatabaseConnection(address)
                try connection.run("LISTEN \(StoreSchema.channel)")
                try changed(nil)
                isUp(true, "")
                pause = Self.pauses.0
                try listen(connection, changed)
            } catch {
                if isEnding { return }
                isUp(false, "\(error)")
                wait(milliseconds: Int.random(in: pause / 2...pause))
                pause = min(pause * 2, Self.pauses.1)
            }
        }
    }

    private func listen(_ connection: DatabaseConnection, _ changed: (Set<String>?) throws -> Void) throws {
        var quiet = 0
        while !isEnding {
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

    private func wait(milliseconds: Int) {
        var left = milliseconds
        while left > 0, !isEnding {
            usleep(UInt32(min(left, Int(Self.turn)) * 1000))
            left -= Int(Self.turn)
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
