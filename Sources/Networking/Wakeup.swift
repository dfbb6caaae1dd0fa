internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A pause that another task can end. For one task at a time.
///
/// The timer is an event loop's, which forgets it when it is cancelled: `Task.sleep` would keep each of its own to the end,
/// and pauses of a minute that end at once would add up.
package final class Wakeup: Sendable {
    private struct State {
        var isPending = false
        var waiter: CheckedContinuation<Void, Never>?
        var timer: Scheduled<Void>?
    }

    private let state = Mutex(State())
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    package init() {}

    /// Returns after `limit`, after `wake`, or when the task is cancelled. A `wake` that nobody waited for ends the next
    /// pause at once.
    package func wait(upTo limit: Duration) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = state.withLock { state in
                    let isOver = state.isPending || Task.isCancelled
                    state.isPending = false
                    if !isOver { state.waiter = waiter }
                    return isOver
                }
                if isOver { return waiter.resume() }
                // Only now, so that it finds the waiter however short the limit is.
                let timer = eventLoop.scheduleTask(in: TimeAmount(limit)) { [self] in resume() }
                state.withLock { $0.timer = timer }
            }
        } onCancel: {
            resume()
        }
        let timer = state.withLock { state in
            defer { state.timer = nil }
            return state.timer
        }
        timer?.cancel()
    }

    /// Lets the one who waits go on, or the next one at once.
    package func wake() {
        let waiter = state.withLock { state in
            if state.waiter == nil { state.isPending = true }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func resume() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
