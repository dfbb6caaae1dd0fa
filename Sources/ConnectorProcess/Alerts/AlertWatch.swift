/// Decides what of the machine is worth a warning, by looks at it from time to time. No clock: times are seconds since 1970.
struct AlertWatch: Sendable {
    /// What one look has seen.
    struct Seen: Sendable, Equatable {
        /// Percent of all processors.
        var load = 0
        var ownLoad = 0
        /// Nil where nobody knows.
        var freeMiB: Int?
    }

    struct Alert: Sendable, Equatable {
        enum Kind: Sendable, CaseIterable { case load, disk }

        var kind: Kind
        var since: Int
    }

    /// News for the log.
    enum Change: Equatable { case began(Alert.Kind), ended(Alert.Kind) }

    private(set) var seen = Seen()
    private(set) var alerts: [Alert] = []
    /// Since when the load has been above its threshold.
    private var highSince: Int?

    mutating func look(_ seen: Seen, _ thresholds: AlertThresholds, now: Int) -> [Change] {
        self.seen = seen
        if seen.load <= thresholds.load { highSince = nil } else { highSince = highSince ?? now }
        let isHigh = highSince.map { now - $0 >= thresholds.loadSeconds } ?? false
        let isFull = seen.freeMiB.map { $0 < thresholds.freeMiB } ?? false
        return [(.load, isHigh), (.disk, isFull)].compactMap { change($0, $1, now) }
    }

    private mutating func change(_ kind: Alert.Kind, _ isWrong: Bool, _ now: Int) -> Change? {
        let wasWrong = alerts.contains { $0.kind == kind }
        guard isWrong != wasWrong else { return nil }
        guard isWrong else {
            alerts.removeAll { $0.kind == kind }
            return .ended(kind)
        }
        alerts.append(Alert(kind: kind, since: now))
        return .began(kind)
    }
}
