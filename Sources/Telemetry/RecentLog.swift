internal import HostSystem
internal import Logging
internal import Synchronization

/// The last events of the log, for a page that shows them: where the log itself goes is the system's matter.
package final class RecentLog: Sendable {
    /// Of the process.
    package static let shared = RecentLog()
    /// Events that are kept.
    package static let limit = 200

    package struct Entry: Codable, Sendable {
        /// RFC 3339.
        package var time: String
        package var level: String
        /// Message and values, as in the log's text.
        package var text: String
    }

    private struct State {
        var places = RingPlaces(limit: RecentLog.limit)
        var entries: [(time: String, level: Logger.Level, message: String, pairs: [(String, String)])] = []
    }

    private let state = Mutex(State())

    func add(_ level: Logger.Level, _ message: String, _ pairs: [(String, String)]) {
        let entry = (WallClock.timestamp(), level, message, pairs)
        state.withLock { state in
            let place = state.places.begin().place
            if place == state.entries.count { state.entries.append(entry) } else { state.entries[place] = entry }
        }
    }

    /// The latest first.
    package var all: [Entry] {
        let entries = state.withLock { state in state.places.latestFirst.map { state.entries[$0] } }
        return entries.map { entry in
            let pairs = entry.pairs.map { " \($0)=\"\(ConnectorLogHandler.escaped($1))\"" }.joined()
            return Entry(time: entry.time, level: entry.level.rawValue, text: entry.message + pairs)
        }
    }
}
