package import TextFormats

/// Durations in buckets. A plain value: each event loop counts for itself, and reading adds the loops up.
package struct Histogram: Sendable, Equatable {
    /// Upper bounds in seconds, for `le`; the last bucket has none.
    package static let labels = [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf",
    ]

    /// Lower bounds in milliseconds of the buckets in which SAP's product tells how long calls took (SAP Help, "Monitoring
    /// APIs").
    package static let callBounds = [
        0, 10, 20, 30, 40, 50, 75, 100, 125, 150, 200, 300, 400, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000,
    ]

    /// Upper bounds in nanoseconds of what is counted: all that either view needs. The last has none.
    private static let bounds: [Int64] = [
        1, 2.5, 5, 10, 20, 25, 30, 40, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 1250, 1500, 2000,
        2500,
        3000, 4000, 5000, 10_000, 30_000,
    ].map { Int64($0 * 1_000_000) }

    /// For each of `bounds`, the bucket of `labels`.
    private static let labelBuckets = bounds.map { bound in
        labels.dropLast().firstIndex { (Double($0) ?? 0) * 1_000_000_000 >= Double(bound) } ?? labels.count - 1
    }

    /// Each with those up to its bound in `bounds`, and those above the one before.
    private var fine = [Int](repeating: 0, count: 30)
    package private(set) var count = 0
    /// Nanoseconds.
    package private(set) var sum: Int64 = 0

    package init() {}

    /// Counts a time.
    package mutating func record(_ nanoseconds: Int64) {
        fine[Self.bucket(nanoseconds)] += 1
        count += 1
        sum += nanoseconds
    }

    /// A table would be looked up on every request; for most, these are a few comparisons.
    @inline(__always)
    private static func bucket(_ nanoseconds: Int64) -> Int {
        if nanoseconds <= 1_000_000 { return 0 }
        if nanoseconds <= 25_000_000 {
            if nanoseconds <= 5_000_000 { return nanoseconds <= 2_500_000 ? 1 : 2 }
            return nanoseconds <= 10_000_000 ? 3 : nanoseconds <= 20_000_000 ? 4 : 5
        }
        return slowBucket(nanoseconds)
    }

    private static func slowBucket(_ nanoseconds: Int64) -> Int {
        var (low, high) = (6, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if nanoseconds <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// For `labels`; not cumulative.
    package var counts: [Int] {
        var counts = [Int](repeating: 0, count: Self.labels.count)
        for (index, count) in fine.enumerated() {
            counts[index < Self.labelBuckets.count ? Self.labelBuckets[index] : counts.count - 1] += count
        }
        return counts
    }

    /// For `callBounds`; not cumulative.
    package var calls: [Int] {
        var calls = [Int](repeating: 0, count: Self.callBounds.count)
        for (index, count) in fine.enumerated() {
            // What is counted up to a bound began at the one before.
            let begin = index == 0 ? 0 : Int(Self.bounds[index - 1] / 1_000_000)
            calls[(Self.callBounds.lastIndex { $0 <= begin } ?? 0)] += count
        }
        return calls
    }

    /// Adds what another one has counted.
    package mutating func add(_ other: Histogram) {
        for index in fine.indices { fine[index] += other.fine[index] }
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
