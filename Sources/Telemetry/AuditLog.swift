internal import Dispatch
internal import Glibc
internal import HostSystem
internal import JSON
package import Logging
internal import Synchronization

/// Who was refused what, and who changed what: records in files that are chained by hashes and sealed with a key, so
/// that `connectord audit verify` finds what was edited, cut or put in another order.
///
/// Callers only queue; a queue of its own writes, seals and syncs. What a full disk keeps from being written waits within
/// a limit; what is beyond it is counted, and the count becomes a record.
package final class AuditLog: Sendable {
    /// How much is recorded, as SAP's product has it.
    package enum Level: String, Sendable, CaseIterable {
        /// Refusals, and changes of configuration, trust and enrolment.
        case security
        /// Allowed requests as well.
        case all
        case off
    }

    /// What happens to requests while records cannot be written.
    package enum FullPolicy: String, Sendable, CaseIterable { case `continue`, refuse }

    /// Where records go, how long they stay, and what happens when they cannot be written.
    package struct Configuration: Sendable, Equatable {
        package var level = Level.security
        package var directory = ""
        /// Bytes after which a new file begins.
        package var fileSize = 16 << 20
        /// Days after which a file is removed; 0 for never.
        package var maxAge = 0
        package var whenFull = FullPolicy.continue

        package init() {}

        var isOn: Bool { level != .off && !directory.isEmpty }
    }

    private struct Pending {
        var records: [(category: AuditCategory, text: String, time: String)] = []
        var lost = 0
        var isScheduled = false
        var failure: String?
        var totalLost = 0
    }

    private let settings: Mutex<Configuration>
    private let pending = Mutex(Pending())
    private let blocks = Atomic<Bool>(false)
    private let writer: Mutex<AuditWriter?>
    // What each request asks for, without a lock.
    private let on: Atomic<Bool>
    private let allowed: Atomic<Bool>
    private let queue = DispatchQueue(label: "audit")
    private let logger: Logger

    /// Records that wait for the disk.
    private static let queueLimit = 10_000

    /// - Throws: where the folder or the key cannot be used.
    package init(_ configuration: Configuration, logger: Logger) throws {
        settings = Mutex(configuration)
        self.logger = logger
        on = Atomic(configuration.isOn)
        allowed = Atomic(configuration.isOn && configuration.level == .all)
        let writer = configuration.isOn ? try AuditWriter(configuration) : nil
        let failure = writer?.startFailure
        self.writer = Mutex(writer)
        if let failure { failed([], 0, failure) }
    }

    /// A log that takes nothing.
    package static let off = AuditLog()

    private init() {
        settings = Mutex(Configuration())
        logger = Logger(label: "audit") { _ in SwiftLogNoOpLogHandler() }
        on = Atomic(false)
        allowed = Atomic(false)
        writer = Mutex(nil)
    }

    /// A record as a page shows it.
    package struct Line: Codable, Sendable {
        package var time: String
        package var type: String
        package var text: String
    }

    /// The last records of the newest files, the latest first, without the chain's own; none where they cannot be read.
    package func latest(_ count: Int) -> [Line] {
        guard isOn else { return [] }
        var lines: [Line] = []
        for file in AuditFiles.list(configuration.directory).reversed() where lines.count < count {
            let records = ((try? AuditFiles.lines("\(configuration.directory)/\(file)")) ?? []).suffix(4 * count)
                .reversed()
            for line in records {
                guard lines.count < count, let record = try? JSONLines.decode(AuditRecord.self, line) else { continue }
                let isOfChain = [AuditCategory.seal, .fileStarted].contains { $0.rawValue == record.type }
                if !isOfChain { lines.append(Line(time: record.time, type: record.type, text: record.text)) }
            }
        }
        return lines
    }

    package var configuration: Configuration { settings.withLock { $0 } }
    package var isOn: Bool { on.load(ordering: .relaxed) }
    package var recordsAllowed: Bool { allowed.load(ordering: .relaxed) }
    /// Whether requests are to be refused because nothing can be recorded.
    package var isBlocking: Bool { blocks.load(ordering: .relaxed) }
    /// Records that are gone for good.
    package var lost: Int { pending.withLock { $0.totalLost } }

    /// False while records wait because the last ones could not be written.
    package var isWritable: Bool { pending.withLock { $0.failure == nil } }

    /// One line for `status`.
    package var summary: String {
        guard isOn else { return "off" }
        let failure = pending.withLock { $0.failure }
        return failure.map { "\(configuration.level.rawValue), cannot be written: \($0)" }
            ?? "\(configuration.level.rawValue), in \(configuration.directory)"
    }

    /// - Parameter text: anything from outside in it must have been escaped.
    package func record(_ category: AuditCategory, _ text: String) {
        guard isOn else { return }
        let time = WallClock.timestamp()
        let mustSchedule = pending.withLock { pending in
            guard pending.records.count < Self.queueLimit else {
                pending.lost += 1
                pending.totalLost += 1
                return false
            }
            pending.records.append((category, text, time))
            defer { pending.isScheduled = true }
            return !pending.isScheduled
        }
        // What comes within a moment shares a seal.
        if mustSchedule { queue.asyncAfter(deadline: .now() + .milliseconds(50)) { [self] in write() } }
    }

    /// Takes another level, age, size or policy from now on; another folder is for the next start.
    ///
    /// - Parameter cause: who changes it: the change is the last record of a log that is switched off, and the first of one that is
    ///   switched on.
    /// - Throws: where the log was off, and its folder or key cannot be used. Then it stays off.
    package func apply(_ new: Configuration, cause: String) throws {
        let old = configuration
        var next = new
        if writer.withLock({ $0 != nil }) { next.directory = old.directory }
        guard next != old else { return }
        let text = "Audit log changed from level \(old.level.rawValue) to \(next.level.rawValue) [by \(cause)]"
        if !next.isOn { record(.configurationChanged, text) }
        try writer.withLock { writer in
            if let writer { writer.configuration = next } else if next.isOn { writer = try AuditWriter(next) }
        }
        settings.withLock { $0 = next }
        on.store(next.isOn, ordering: .relaxed)
        allowed.store(next.isOn && next.level == .all, ordering: .relaxed)
        if next.isOn { record(.configurationChanged, text) }
    }

    /// Returns when everything recorded so far is on disk, or has failed to get there.
    package func flush() {
        guard writer.withLock({ $0 != nil }) else { return }
        queue.sync { write() }
    }

    /// Before the process ends: what cannot be written now never will.
    package func end() {
        flush()
        let waiting = pending.withLock { $0.records.count + $0.lost }
        guard waiting > 0 else { return }
        logger.error(
            "audit records are lost: the log could not be written to the end",
            metadata: ["count": "\(waiting)"]
        )
    }

    private func write() {
        let (records, lost) = pending.withLock { pending in
            defer { (pending.records, pending.lost, pending.isScheduled) = ([], 0, false) }
            return (pending.records, pending.lost)
        }
        guard !records.isEmpty || lost > 0 || !isWritable else { return }
        do {
            try writer.withLock { writer in
                var all = records.map { ($0.category, $0.text, $0.time) }
                if lost > 0 { all.append((.recordsLost, "\(lost) records were lost", WallClock.timestamp())) }
                try writer?.append(all)
            }
            succeeded()
        } catch {
            failed(records, lost, "\(error)")
        }
    }

    private func succeeded() {
        let wasFailing = pending.withLock { pending in
            defer { pending.failure = nil }
            return pending.failure != nil
        }
        blocks.store(false, ordering: .relaxed)
        if wasFailing { logger.notice("audit log is written again") }
    }

    private func failed(
        _ records: [(category: AuditCategory, text: String, time: String)],
        _ lost: Int,
        _ cause: String
    ) {
        let isNews = pending.withLock { pending in
            pending.records = records + pending.records
            pending.lost += lost
            if pending.records.count > Self.queueLimit {
                let excess = pending.records.count - Self.queueLimit
                pending.records.removeLast(excess)
                pending.lost += excess
                pending.totalLost += excess
            }
            pending.isScheduled = true
            defer { pending.failure = cause }
            return pending.failure == nil
        }
        let refuses = configuration.whenFull == .refuse
        blocks.store(refuses, ordering: .relaxed)
        if isNews {
            let effect = refuses ? "requests are refused" : "requests go on"
            logger.error("audit log cannot be written", metadata: ["cause": "\(cause)", "effect": "\(effect)"])
        }
        queue.asyncAfter(deadline: .now() + .seconds(1)) { [self] in write() }
    }
}
