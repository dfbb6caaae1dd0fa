package import TextFormats

/// Durations in buckets. A plain value: each event loop counts for itself, and reading adds the loops up.
package struct Histogram: Sendable, Equatable {
    /// Upper bounds in seconds, for `le`; the last bucket has none.
    package static let labels = [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf",
    ]

    /// Not cumulative.
    package private(set) var counts = [Int](repeating: 0, count: 15)
    package private(set) var count = 0
    /// Nanoseconds.
    package private(set) var sum: Int64 = 0

    package init() {}

    /// Counts a time.
    package mutating func record(_ nanoseconds: Int64) {
        let bucket = Self.bucket(nanoseconds)
        counts[bucket] += 1
        count += 1
        sum += nanoseconds
    }

    /// A table would be looked up on every request; these are a few comparisons.
    @inline(__always)
    private static func bucket(_ nanoseconds: Int64) -> Int {
        if nanoseconds <= 1_000_000 { return 0 }
        if nanoseconds <= 25_000_000 {
            return nanoseconds <= 2_500_000 ? 1 : nanoseconds <= 5_000_000 ? 2 : nanoseconds <= 10_000_000 ? 3 : 4
        }
        if nanoseconds <= 500_000_000 {
            return nanoseconds <= 50_000_000 ? 5 : nanoseconds <= 100_000_000 ? 6 : nanoseconds <= 250_000_000 ? 7 : 8
        }
        if nanoseconds <= 5_000_000_000 {
            return nanoseconds <= 1_000_000_000 ? 9 : nanoseconds <= 2_500_000_000 ? 10 : 11
        }
        return nanoseconds <= 10_000_000_000 ? 12 : nanoseconds <= 30_000_000_000 ? 13 : 14
    }

    /// Adds what another one has counted.
    package mutating func add(_ other: Histogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        sum += other.sum
    }
}

/// What refusals are counted by: who is at fault, what was being done, and the cause as a token of RFC 9209 section 2.3, which
/// answers and log lines carry too.
package struct RefusalKey: Sendable, Hashable, Comparable {
    package var source: RefusalSource
    package var phase: RefusalPhase
    package var error: String

    package init(_ source: RefusalSource, _ phase: RefusalPhase, _ error: StaticString) {
        (self.source, self.phase, self.error) = (source, phase, "\(error)")
    }

    package static func < (left: RefusalKey, right: RefusalKey) -> Bool {
        (left.source.rawValue, left.phase.rawValue, left.error) < (
            right.source.rawValue, right.phase.rawValue, right.error
        )
    }
}

/// What is counted of requests, for one virtual host or one connector.
package struct RequestCounts: Sendable, Equatable {
    /// Answers by status class; index 0 is for those without any: the client left, or the transfer broke.
    package var statusClasses = [Int](repeating: 0, count: 6)
    /// Bytes of bodies.
    package var requestBytes = 0
    package var responseBytes = 0
    /// Refused or failed.
    package var refusals: [RefusalKey: Int] = [:]

    package init() {}

    /// Counts an answer by its status; 0 for one that did not come to its end.
    package mutating func answered(_ status: Int) {
        statusClasses[(1...5).contains(status / 100) ? status / 100 : 0] += 1
    }

    /// Adds what another one has counted.
    package mutating func add(_ other: RequestCounts) {
        for index in statusClasses.indices { statusClasses[index] += other.statusClasses[index] }
        requestBytes += other.requestBytes
        responseBytes += other.responseBytes
        refusals.merge(other.refusals, uniquingKeysWith: +)
    }
}
