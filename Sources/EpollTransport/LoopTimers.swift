internal import HeapModule
internal import NIOCore

/// What an event loop is to do at a time. Cancelled, it lets go at once of what it would have done.
///
/// Unchecked, as others only carry it to its loop, which alone looks into it.
final class LoopTimer: @unchecked Sendable {
    let deadline: NIODeadline
    /// Called once: with nil at its time, with an error where the loop ends before.
    fileprivate(set) var action: (((any Error)?) -> Void)?

    init(_ deadline: NIODeadline, _ action: @escaping ((any Error)?) -> Void) {
        self.deadline = deadline
        self.action = action
    }
}

/// Timers in the order of their times. Those of one time fire in the order in which they were added.
struct LoopTimers {
    private struct Entry: Comparable {
        let deadline: NIODeadline
        let sequence: UInt64
        let timer: LoopTimer

        static func < (left: Entry, right: Entry) -> Bool {
            left.deadline == right.deadline ? left.sequence < right.sequence : left.deadline < right.deadline
        }

        static func == (left: Entry, right: Entry) -> Bool { left.sequence == right.sequence }
    }

    private var heap = Heap<Entry>()
    private var sequence: UInt64 = 0
    private var cancelled = 0

    /// Entries, cancelled ones that were not yet swept out included.
    var count: Int { heap.count }

    /// Of the next to fire. It may have been cancelled; then nothing happens at that time.
    var next: NIODeadline? { heap.min?.deadline }

    mutating func add(_ timer: LoopTimer) {
        sequence += 1
        heap.insert(Entry(deadline: timer.deadline, sequence: sequence, timer: timer))
    }

    /// Entries of the cancelled stay until they are as many as the others: most timers are limits that are not reached, and
    /// taking one out of the middle of a heap costs more than waiting.
    mutating func cancel(_ timer: LoopTimer) {
        guard timer.action != nil else { return }
        timer.action = nil
        cancelled += 1
        guard cancelled > 64, cancelled > heap.count / 2 else { return }
        heap = Heap(heap.unordered.filter { $0.timer.action != nil })
        cancelled = 0
    }

    /// What is due, one after the other; nil when nothing more is.
    mutating func takeDue(_ now: NIODeadline) -> (((any Error)?) -> Void)? {
        while let first = heap.min, first.deadline <= now {
            heap.removeMin()
            guard let action = first.timer.action else {
                cancelled -= 1
                continue
            }
            first.timer.action = nil
            return action
        }
        return nil
    }

    mutating func takeAll() -> [((any Error)?) -> Void] {
        let actions = heap.unordered.compactMap { entry in
            defer { entry.timer.action = nil }
            return entry.timer.action
        }
        heap = Heap()
        cancelled = 0
        return actions
    }
}
