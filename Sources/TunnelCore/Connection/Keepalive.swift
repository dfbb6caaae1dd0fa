package import NIOCore

/// Judges whether the peer of a tunnel is still there.
///
/// Any byte received is a sign of life. A ping goes out each interval: it measures the way, and it asks who is silent. A peer
/// that is silent for two intervals is dead, not sooner and not later.
///
///     alive ──an interval──▶ ping ──…──▶ silent for two intervals: dead
///       ▲──────any byte───────┘
package struct Keepalive: Sendable {
    /// What a tunnel does when its interval has passed.
    package enum Action: Equatable, Sendable {
        /// And come back after this time.
        case sendPing(next: TimeAmount)
        case declareDead
    }

    private let interval: TimeAmount
    private var lastHeard: NIODeadline
    /// When `passed` was to be called.
    private var due: NIODeadline

    package init(interval: TimeAmount, now: NIODeadline) {
        self.interval = interval
        (lastHeard, due) = (now, now)
    }

    /// The other end has said something.
    package mutating func received(_ now: NIODeadline) { lastHeard = now }

    /// Time since the last sign of life.
    package func silence(_ now: NIODeadline) -> TimeAmount { now - lastHeard }

    /// To be called when the time that it named is over, the first time at once.
    ///
    /// - Parameter jitter: 0 to 1; a part of an interval that keeps the pings of many tunnels apart.
    package mutating func passed(_ now: NIODeadline, jitter: Double) -> Action {
        // A process that did not run for so long has not listened either, nor asked.
        if now - due > interval { lastHeard = max(lastHeard, now - interval) }
        let silence = now - lastHeard
        let limit = interval * 2
        guard silence < limit else { return .declareDead }
        // The bytes that wait in the socket are read before the next call.
        let apart = TimeAmount.nanoseconds(Int64(Double(interval.nanoseconds / 3) * jitter))
        let next = min(interval + apart, limit - silence)
        due = now + next
        return .sendPing(next: next)
    }
}
