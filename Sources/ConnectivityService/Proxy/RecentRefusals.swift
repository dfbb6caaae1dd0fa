internal import Synchronization
package import TextFormats

/// The last requests that were refused, for people who look at the service: the same refusal counts once.
package final class RecentRefusals: Sendable {
    /// Different refusals that are kept.
    package static let limit = 100

    /// One refusal, and how often it was the same.
    package struct Entry: Codable, Sendable, Equatable {
        /// Seconds since 1970, of the last one.
        package var time: Int
        package var count = 1
        package var subaccount: String
        package var locationID: String
        package var method: String
        /// As it came, escaped: a URL in most cases.
        package var target: String
        package var status: Int
        /// "client", "policy", "tunnel", "backend" or "internal".
        package var source: RefusalSource
        package var phase: RefusalPhase
        package var cause: String
        /// "cloud-connector" or "connectivity-service".
        package var side: String

        package init(
            time: Int,
            subaccount: String,
            locationID: String,
            method: String,
            target: String,
            status: Int,
            source: RefusalSource,
            phase: RefusalPhase,
            cause: String,
            side: String
        ) {
            self.time = time
            self.subaccount = subaccount
            self.locationID = locationID
            self.method = method
            self.target = target
            self.status = status
            self.source = source
            self.phase = phase
            self.cause = cause
            self.side = side
        }

        fileprivate func isSame(as other: Entry) -> Bool {
            subaccount == other.subaccount && locationID == other.locationID && method == other.method
                && target == other.target && cause == other.cause && phase == other.phase
        }
    }

    private let entries = Mutex<[Entry]>([])

    package init() {}

    /// The latest first.
    package var all: [Entry] { entries.withLock { $0 } }

    /// Puts a refusal first, added to the same one of before.
    package func record(_ entry: Entry) {
        entries.withLock { entries in
            var entry = entry
            if let index = entries.firstIndex(where: { $0.isSame(as: entry) }) {
                entry.count += entries.remove(at: index).count
            }
            entries.insert(entry, at: 0)
            if entries.count > Self.limit { entries.removeLast() }
        }
    }
}
