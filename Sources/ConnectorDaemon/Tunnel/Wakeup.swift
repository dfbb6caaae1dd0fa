internal import Synchronization

/// A pause that another task can end.
final class Wakeup: Sendable {
    private struct State {
        var isPending = false
        var sleeper: Task<Void, Never>?
    }

    private let state = Mutex(State())

    /// Returns after `limit`, after `wake`, or when the task is cancelled. A `wake` that nobody waited for ends the next
    /// pause at once.
    func wait(upTo limit: Duration) async {
        let sleeper = Task { _ = try? await Task.sleep(for: limit) }
        let isPending = state.withLock { state in
            defer { state.isPending = false }
            if !state.isPending { state.sleeper = sleeper }
            return state.isPending
        }
        if isPending { return sleeper.cancel() }
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        state.withLock { $0 = State() }
    }

    func wake() {
        state.withLock { state in
            if let sleeper = state.sleeper { sleeper.cancel() } else { state.isPending = true }
        }
    }
}
