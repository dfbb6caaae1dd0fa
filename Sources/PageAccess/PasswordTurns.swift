package import Networking
internal import Synchronization

/// Paces guesses without locking anybody out.
///
/// An attempt waits for its turn instead of being turned away, so the right password is always looked at. An address has a
/// few attempts under way at a time; a wrong one stays under way for a second, whatever becomes of its connection. A
/// listener has few connections, so a turn comes within seconds, and guesses come to a handful a second.
package final class PasswordTurns: Sendable {
    /// Attempts of one address under way at a time, wrong ones of the last second included.
    static let width = 8
    /// Attempts of one address that wait, beyond which those are dropped whose clients have gone. A listener has fewer
    /// connections.
    private static let waitingLimit = 256
    package static let pause = Duration.seconds(1)

    private struct Queue {
        var underWay = 0
        var waiting: [(client: ClientPresence, continuation: CheckedContinuation<Bool, Never>)] = []

        /// - Returns: those that nobody waits for any more.
        mutating func takeGone() -> [CheckedContinuation<Bool, Never>] {
            let gone = waiting.filter { $0.client.isGone }.map(\.continuation)
            waiting.removeAll { $0.client.isGone }
            return gone
        }
    }

    private let queues = Mutex<[String: Queue]>([:])
    private let pause: Duration

    package init(pause: Duration = PasswordTurns.pause) { self.pause = pause }

    /// Waits until it is the caller's turn.
    ///
    /// - Returns: whether anybody is there to hear the answer.
    private func wait(_ address: String, _ client: ClientPresence) async -> Bool {
        await withCheckedContinuation { continuation in
            let (isFree, gone) = queues.withLock { queues in
                var queue = queues[address] ?? Queue()
                let isFree = queue.underWay < Self.width
                if isFree { queue.underWay += 1 } else { queue.waiting.append((client, continuation)) }
                let gone = queue.waiting.count > Self.waitingLimit ? queue.takeGone() : []
                queues[address] = queue
                return (isFree, gone)
            }
            for waiter in gone { waiter.resume(returning: false) }
            if isFree { continuation.resume(returning: true) }
        }
    }

    private func done(_ address: String) {
        let (next, gone) = queues.withLock {
            queues -> (CheckedContinuation<Bool, Never>?, [CheckedContinuation<Bool, Never>]) in
            guard var queue = queues[address] else { return (nil, []) }
            let gone = queue.takeGone()
            let next = queue.waiting.isEmpty ? nil : queue.waiting.removeFirst().continuation
            if next == nil { queue.underWay -= 1 }
            queues[address] = queue.underWay == 0 && queue.waiting.isEmpty ? nil : queue
            return (next, gone)
        }
        for waiter in gone { waiter.resume(returning: false) }
        next?.resume(returning: true)
    }

    /// Looks at an attempt when its turn has come. A wrong one takes a second to be told.
    ///
    /// - Returns: what `isRight` said.
    package func attempt(
        from address: String,
        _ client: ClientPresence,
        _ isRight: () async -> Bool
    ) async -> Bool {
        guard await wait(address, client) else { return false }
        defer { done(address) }
        if await isRight() { return true }
        // Waits out of the sight of the task's end, so a client that hangs up is no faster.
        try? await Task.sleep(for: pause)
        return false
    }

    package var addresses: Int { queues.withLock { $0.count } }
}
