internal import Synchronization

/// Whose password was wrong just now. A client that was wrong is not listened to for a second, however many connections
/// it has.
final class PasswordGuesses: Sendable {
    static let pause = Duration.seconds(1)
    /// Clients remembered at the same time. Who comes while there are as many waits as well.
    static let limit = 1000

    private let wrong = Mutex<[String: ContinuousClock.Instant]>([:])

    func mayTry(_ client: String, now: ContinuousClock.Instant = .now) -> Bool {
        wrong.withLock { wrong in
            if wrong.count >= Self.limit { wrong = wrong.filter { $0.value > now - Self.pause } }
            return wrong.count < Self.limit && wrong[client].map { $0 <= now - Self.pause } ?? true
        }
    }

    func failed(_ client: String, now: ContinuousClock.Instant = .now) { wrong.withLock { $0[client] = now } }
}
