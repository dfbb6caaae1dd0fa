internal import Dispatch
internal import Synchronization

/// The pauses of a thread of one's own, which another thread can end.
package final class ThreadPause: Sendable {
    private let signal = DispatchSemaphore(value: 0)
    private let isEnded = Atomic<Bool>(false)

    package init() {}

    /// Whether the thread is to end: from then on, nobody pauses.
    package var isOver: Bool { isEnded.load(ordering: .acquiring) }

    /// Returns after so many milliseconds, or when somebody wakes the thread or ends it.
    package func wait(milliseconds: Int) {
        guard !isOver else { return }
        _ = signal.wait(timeout: .now() + .milliseconds(milliseconds))
    }

    /// Ends the pause; where there is none, the next one.
    package func wake() { signal.signal() }

    package func end() {
        isEnded.store(true, ordering: .releasing)
        signal.signal()
    }
}
