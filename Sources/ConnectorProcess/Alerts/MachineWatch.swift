internal import HostSystem
internal import Logging
internal import Synchronization

/// Looks at the machine every ten seconds, and says in the log what is wrong with it.
final class MachineWatch: Sendable {
    private struct State {
        var watch = AlertWatch()
        var thresholds = AlertThresholds()
        var looked: Int?
        /// Other thresholds: what they make of it is said at once.
        var isDue = false
        var ownSeconds = 0.0
    }

    /// Where the audit log is, or else what the page keeps.
    let folder: String
    private let logger: Logger
    private let state: Mutex<State>

    /// Seconds.
    private static let interval = 10

    init(_ thresholds: AlertThresholds, folder: String, _ logger: Logger) {
        self.folder = folder
        self.logger = logger
        state = Mutex(State(thresholds: thresholds))
    }

    func apply(_ thresholds: AlertThresholds) {
        state.withLock { state in
            state.isDue = state.isDue || state.thresholds != thresholds
            state.thresholds = thresholds
        }
    }

    var thresholds: AlertThresholds { state.withLock { $0.thresholds } }

    /// What was seen last, and what is wrong.
    var current: AlertWatch { state.withLock { $0.watch } }

    /// To be called once a second, never on an event loop.
    func tick(now: Int = WallClock.seconds()) {
        let changes = state.withLock { state -> [AlertWatch.Change] in
            let elapsed = state.looked.map { now - $0 }
            guard state.isDue || elapsed.map({ $0 >= Self.interval || $0 < 0 }) ?? true else { return [] }
            state.isDue = false
            let figures = MachineFigures(folder: folder)
            let own = elapsed.map { max($0, 1) * figures.processors }
                .map { Int((figures.ownSeconds - state.ownSeconds) * 100) / $0 }
            (state.looked, state.ownSeconds) = (now, figures.ownSeconds)
            let seen = AlertWatch.Seen(
                load: figures.loadPercent,
                ownLoad: min(max(own ?? 0, 0), 100),
                freeMiB: figures.freeMiB
            )
            return state.watch.look(seen, state.thresholds, now: now)
        }
        for change in changes { tell(change) }
    }

    private func tell(_ change: AlertWatch.Change) {
        let (seen, thresholds) = state.withLock { ($0.watch.seen, $0.thresholds) }
        switch change {
        case .began(.load):
            logger.warning(
                "the machine has too much to do",
                metadata: [
                    "load": "\(seen.load) %", "own": "\(seen.ownLoad) %", "alerts.cpu-load": "\(thresholds.load) %",
                ]
            )
        case .began(.disk):
            logger.warning(
                "the disk is nearly full",
                metadata: [
                    "folder": "\(folder)", "free": "\(seen.freeMiB ?? 0) MiB",
                    "alerts.free-disk-mib": "\(thresholds.freeMiB)",
                ]
            )
        case .ended(.load): logger.notice("the machine has less to do again", metadata: ["load": "\(seen.load) %"])
        case .ended(.disk):
            logger.notice("the disk has room again", metadata: ["free": "\(seen.freeMiB ?? 0) MiB"])
        }
    }
}
