/// Judges whether the peer of a tunnel is still there.
///
/// Any octet received is a sign of life. After `interval` of silence a ping goes out; a peer that lets two pings in a
/// row pass in silence is dead. Because octets that wait in the socket are read before the judge is asked, a process
/// that was starved of CPU does not condemn a healthy peer.
///
///     alive ──silence for an interval──▶ pinged(1) ──again──▶ pinged(2) ──again──▶ dead
///       ▲───────────────any octet──────────┴─────────────────────┘
package struct Keepalive: Sendable {
    package enum Action: Equatable, Sendable { case none, sendPing, declareDead }

    package let missesAllowed: Int
    package private(set) var misses = 0
    private var hasHeard = true

    package init(missesAllowed: Int = 2) { self.missesAllowed = missesAllowed }

    package mutating func received() { hasHeard = true }

    /// To be called once per interval.
    package mutating func intervalPassed() -> Action {
        if hasHeard {
            hasHeard = false
            misses = 0
            return .none
        }
        if misses >= missesAllowed { return .declareDead }
        misses += 1
        return .sendPing
    }
}
