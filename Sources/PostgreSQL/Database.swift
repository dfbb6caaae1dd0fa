internal import Glibc
internal import Synchronization

/// A database that may be away: connected when it is needed, again when it was gone, and left alone for a moment after it could not be reached,
/// so that not everybody waits for it.
package final class Database: Sendable {
    package let address: DatabaseAddress
    private let state = Mutex(State())
    /// Monotonic seconds until which nobody tries, and why; looked at before the lock, so that nobody waits for one who tries.
    private let pause = Mutex<(until: Int, cause: String)>((0, ""))
    private static let pauseSeconds = 3
    private let connections = Atomic<Int>(0)

    /// Changes with each connection that is made: what was read before may have come from another server.
    package var generation: Int { connections.load(ordering: .acquiring) }

    private struct State: ~Copyable {
        var connection: Held?
    }

    /// One thread's at a time, by the lock that it lies behind.
    private struct Held: @unchecked Sendable { let connection: DatabaseConnection }

    package init(_ address: DatabaseAddress) { self.address = address }

    /// Uses the connection. What nobody has answered is asked once more on a new one, if nothing can be done twice by it.
    ///
    /// - Parameter isRepeatable: to ask twice changes nothing.
    @discardableResult
    package func use<Result: Sendable>(
        isRepeatable: Bool = false,
        _ body: (DatabaseConnection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try checkPause()
        return try state.withLock { (state) throws(DatabaseError) in
            let isNew = state.connection == nil
            let connection = try connection(&state)
            do throws(DatabaseError) {
                return try body(connection)
            } catch {
                guard error.isAway else { throw error }
                state.connection = nil
                guard isRepeatable, !isNew else { throw error }
                return try body(try self.connection(&state))
            }
        }
    }

    private func checkPause() throws(DatabaseError) {
        let (until, cause) = pause.withLock { $0 }
        guard Self.now >= until else { throw DatabaseError(isAway: true, cause) }
    }

    private func connection(_ state: inout State) throws(DatabaseError) -> DatabaseConnection {
        if let held = state.connection { return held.connection }
        // Of those who have waited for the lock, the first one has tried for all.
        try checkPause()
        do throws(DatabaseError) {
            let connection = try DatabaseConnection(address)
            state.connection = Held(connection: connection)
            connections.wrappingAdd(1, ordering: .releasing)
            return connection
        } catch {
            pause.withLock { $0 = (Self.now + Self.pauseSeconds, error.description) }
            throw error
        }
    }

    private static var now: Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }
}
