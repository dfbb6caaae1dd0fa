internal import TunnelCore

/// A connection's place among the turns, which it may leave.
final class RefusalTurn {
    enum Phase {
        /// For its answer.
        case answer(Refusal)
        /// For its next request.
        case pause
    }

    private(set) var connection: ProxyConnection?
    let phase: Phase

    init(_ connection: ProxyConnection, _ phase: Phase) {
        self.connection = connection
        self.phase = phase
    }

    /// Its connection is gone.
    func leave() { connection = nil }
}
