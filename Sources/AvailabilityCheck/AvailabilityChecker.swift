package import AccessPolicy
package import AdminProtocol
package import ControlProtocol
package import Logging
package import NIOCore
internal import NIOPosix
internal import Networking
internal import Synchronization

/// Looks at every internal host at start, after a change, every `check.interval` and on demand, a few at a time and on
/// threads that carry no traffic.
package final class AvailabilityChecker: Sendable {
    /// How often to look, and how long to wait.
    package struct Configuration: Sendable, Equatable {
        /// Nil for on demand only.
        package var interval: TimeAmount? = .seconds(30)
        package var timeout = TimeAmount.seconds(5)

        package init() {}
    }

    private struct Entry {
        var availability = Availability()
        var systems: [String] = []
        /// On the clock that only moves forward.
        var due: NIODeadline = .now()
        var lastCheck: NIODeadline?
        var isRunning = false

        func isDue(_ now: NIODeadline) -> Bool { due <= now && !isRunning }
    }

    private struct State {
        var entries: [AvailabilityTarget: Entry] = [:]
        /// What was due when it was last looked through, and has not been taken since.
        var queue: [AvailabilityTarget] = []
        var tls: BackendTLS?
        var configuration = Configuration()
    }

    private let state = Mutex(State())
    /// Hears of every change.
    private let tell: @Sendable (ControlMessage) -> Void
    private let changes = Atomic<Int>(0)
    private let wakeup = Wakeup()
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup.singleton

    /// Checks at the same time.
    private static let concurrency = 16
    /// A host that was looked at so recently is not asked again, however often someone demands it.
    private static let minimumSpacing = TimeAmount.seconds(1)

    /// All hosts are looked through no more often than this to find what is due.
    private static let granularity = TimeAmount.milliseconds(50)

    package init(logger: Logger, tell: @escaping @Sendable (ControlMessage) -> Void = { _ in }) {
        self.logger = logger
        self.tell = tell
    }

    /// Grows with every change of an availability.
    package var changeCount: Int { changes.load(ordering: .acquiring) }

    /// What is new, or is judged by other rules now, is checked at once; what is gone is forgotten.
    ///
    /// - Parameter tls: for internal hosts that speak it.
    package func apply(_ systems: [SystemMapping], _ tls: BackendTLS, _ configuration: Configuration) {
        state.withLock { state in
            let isTrustChanged = state.tls !== tls
            let isIntervalChanged = state.configuration.interval != configuration.interval
            state.tls = tls
            state.configuration = configuration
            var entries: [AvailabilityTarget: Entry] = [:]
            for system in systems {
                let target = AvailabilityTarget(system)
                if entries[target] == nil {
                    var entry = state.entries[target] ?? Entry()
                    entry.systems = []
                    if isTrustChanged, target.isTLS { entry.due = .now() }
                    if isIntervalChanged, let interval = configuration.interval, let last = entry.lastCheck {
                        entry.due = min(entry.due, last + interval)
                    }
                    entries[target] = entry
                }
                // In place: thousands of systems may share an internal host.
                entries[target]!.systems.append(system.virtualAddress)
            }
            state.entries = entries
            state.queue = []
        }
        wakeup.wake()
    }

    /// How internal hosts are looked at; nil before the first configuration.
    var settings: (BackendTLS, TimeAmount)? {
        state.withLock { state in state.tls.map { ($0, state.configuration.timeout) } }
    }

    /// What is known of a system's internal host now; nothing is asked for.
    package func availability(of system: SystemMapping) -> Availability {
        state.withLock { $0.entries[AvailabilityTarget(system)]?.availability ?? Availability() }
    }

    /// Runs until its task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            let due = takeDue(Self.concurrency)
            if due.isEmpty {
                await wakeup.wait(upTo: untilNext())
            } else {
                await check(due)
            }
        }
    }

    /// Looks now, but at no host more than once in a second.
    package func checkNow(_ systems: [SystemMapping]) async {
        let targets = Set(systems.map { AvailabilityTarget($0) })
        let wanted = state.withLock { state in
            targets.filter { target in
                guard let entry = state.entries[target], !entry.isRunning else { return false }
                guard let last = entry.lastCheck, NIODeadline.now() - last < Self.minimumSpacing else {
                    state.entries[target]!.isRunning = true
                    return true
                }
                return false
            }
        }
        var rest = Array(wanted)
        while !rest.isEmpty {
            await check(Array(rest.prefix(Self.concurrency)))
            rest.removeFirst(min(Self.concurrency, rest.count))
        }
    }

    private func takeDue(_ count: Int) -> [AvailabilityTarget] {
        state.withLock { state in
            guard state.configuration.interval != nil else { return [] }
            let now = NIODeadline.now()
            if state.queue.isEmpty { state.queue = state.entries.filter { $0.value.isDue(now) }.map(\.key) }
            var due: [AvailabilityTarget] = []
            while due.count < count, let target = state.queue.popLast() {
                guard let entry = state.entries[target], entry.isDue(now) else { continue }
                state.entries[target]!.isRunning = true
                due.append(target)
            }
            return due
        }
    }

    private func untilNext() -> Duration {
        let next = state.withLock { state -> NIODeadline? in
            guard state.configuration.interval != nil else { return nil }
            return state.entries.values.filter { !$0.isRunning }.map(\.due).min()
        }
        guard let next else { return .seconds(60) }
        return .nanoseconds(max(Self.granularity.nanoseconds, (next - .now()).nanoseconds))
    }

    private func check(_ targets: [AvailabilityTarget]) async {
        let (tls, configuration) = state.withLock { ($0.tls, $0.configuration) }
        guard let tls else { return }
        await withDiscardingTaskGroup { tasks in
            for target in targets {
                let eventLoop = group.next()
                tasks.addTask { [self] in
                    let result = await AvailabilityProbe.run(
                        target,
                        tls: tls,
                        timeout: configuration.timeout,
                        on: eventLoop
                    )
                    keep(result, target, configuration)
                }
            }
        }
    }

    private func keep(_ result: Availability, _ target: AvailabilityTarget, _ configuration: Configuration) {
        // A fifth of jitter keeps the checks of many hosts apart.
        let interval = Double((configuration.interval ?? .seconds(30)).nanoseconds) * .random(in: 0.9...1.1)
        let changed = state.withLock { state -> [String]? in
            guard var entry = state.entries[target] else { return nil }
            let isNews = entry.availability.summary != result.summary
            entry.availability = result
            entry.isRunning = false
            entry.lastCheck = .now()
            entry.due = .now() + .nanoseconds(Int64(interval))
            state.entries[target] = entry
            return isNews ? entry.systems : nil
        }
        logger.debug(
            "internal host checked",
            metadata: [
                "internal_host": "\(target.address)", "protocol": "\(target.protocol)", "result": "\(result.summary)",
                "ms": "\(result.milliseconds ?? 0)",
            ]
        )
        guard let changed else { return }
        changes.wrappingAdd(1, ordering: .acquiringAndReleasing)
        logger.log(
            level: result.state == .reachable ? .info : .warning,
            result.state == .reachable ? "internal host reachable" : "internal host not reachable",
            metadata: [
                "internal_host": "\(target.address)", "protocol": "\(target.protocol)", "cause": "\(result.cause)",
            ].filter { $0.value != "" }
        )
        for start in stride(from: 0, to: changed.count, by: ControlStream.systemsPerMessage) {
            let part = changed[start..<min(start + ControlStream.systemsPerMessage, changed.count)]
            tell(ControlMessage(availability: part.map { .init(host: $0, availability: result.summary) }))
        }
    }
}
