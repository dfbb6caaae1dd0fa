/// How much a peer may say on the control stream. What is beyond it waits with the peer, by credit that comes later: a list
/// of a hundred thousand systems passes in its time, and a peer that talks without end costs a part of a processor at most.
package struct ControlPace: Sendable {
    /// Bytes that may come at once.
    package static let burst = 4 << 20
    /// Bytes a second after that.
    package static let rate = 1 << 20
    /// What a message costs beside its bytes.
    package static let message = 512

    private var left = burst
    private var last: Int64 = 0
    /// Bytes that were taken and not given credit for.
    package private(set) var owed = 0

    package init() {}

    /// - Parameter now: nanoseconds of a clock that only goes forward.
    /// - Returns: bytes of credit that the peer may have now; it has to wait for the rest, which is `owed`.
    package mutating func received(_ bytes: Int, messages: Int, now: Int64) -> Int {
        refill(now)
        owed += bytes
        left -= bytes + messages * Self.message
        return release()
    }

    /// - Returns: bytes of credit that have become free.
    package mutating func timePassed(now: Int64) -> Int {
        refill(now)
        return release()
    }

    /// Milliseconds after which asking again makes sense.
    package var pause: Int64 { Int64(max(0, -left)) * 1000 / Int64(Self.rate) + 1 }

    private mutating func refill(_ now: Int64) {
        let passed = min(max(now - last, 0), 60_000_000_000)
        let earned = Int(passed / 1_000_000) * (Self.rate / 1000)
        guard earned > 0 else { return }
        last = now
        left = min(left + earned, Self.burst)
    }

    private mutating func release() -> Int {
        guard left >= 0 else { return 0 }
        defer { owed = 0 }
        return owed
    }
}
