/// How long to wait before the next attempt: exponential with full jitter, so that many connectors that lost the same
/// service do not come back at once.
package struct Backoff: Sendable, Equatable {
    package var initial: Duration
    package var maximum: Duration
    package private(set) var attempts = 0

    package init(initial: Duration = .milliseconds(500), maximum: Duration = .seconds(30)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The upper end of the next delay.
    package var ceiling: Duration {
        // 2^20 times half a second is far above any maximum; the shift never overflows.
        min(maximum, initial * (1 << min(attempts, 20)))
    }

    /// - Parameter fraction: a random number from 0 to 1.
    /// - Returns: a delay from a tenth of `ceiling` to `ceiling`; the floor keeps a refusing peer from being hammered.
    package mutating func next(_ fraction: Double) -> Duration {
        let delay = ceiling * (0.1 + 0.9 * min(max(fraction, 0), 1))
        attempts += 1
        return delay
    }

    /// After a success the next failure starts from the beginning.
    package mutating func reset() { attempts = 0 }
}
