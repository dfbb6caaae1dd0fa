internal import ControlProtocol
internal import Networking
internal import Synchronization

/// A question to the service on a control stream, and the answer: one at a time of its kind.
final class ControlQuestion: Sendable {
    /// What came of it.
    enum Outcome: Sendable {
        case answer(ControlMessage)
        case failed(String)
    }

    private struct State {
        var waiting: CheckedContinuation<Outcome, Never>?
        var isAsking = false
        /// For tunnels that begin before there is an answer.
        var unasked: ControlMessage?
    }

    private let state = Mutex(State())
    private let isAnswer: @Sendable (ControlMessage) -> Bool

    init(_ isAnswer: @escaping @Sendable (ControlMessage) -> Bool) { self.isAnswer = isAnswer }

    /// Takes a message from the service, if it is the answer.
    func received(_ message: ControlMessage) {
        if isAnswer(message) { end(.answer(message)) }
    }

    private func end(_ outcome: Outcome) {
        state.withLock { state in
            defer { (state.waiting, state.unasked) = (nil, nil) }
            return state.waiting
        }?.resume(returning: outcome)
    }

    /// What is still to be asked, on a tunnel that begins: also on one that the service will not have, as long as another session of this
    /// connector serves.
    var unasked: ControlMessage? { state.withLock { $0.unasked } }

    /// - Parameter waitsForTunnel: where there is none.
    /// - Returns: nil where another one is being asked just now.
    func ask(
        _ question: ControlMessage,
        _ connector: Connector,
        upTo limit: Duration,
        waitsForTunnel: Bool = false
    ) async -> Outcome? {
        let isFirst = state.withLock { state in
            defer { state.isAsking = true }
            return !state.isAsking
        }
        guard isFirst else { return nil }
        defer { state.withLock { $0.isAsking = false } }
        return await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in
                await Wakeup().wait(upTo: limit)
                guard !Task.isCancelled else { return }
                end(.failed("the service did not answer within \(limit)"))
            }
            defer { tasks.cancelAll() }
            return await answer(question, connector, waitsForTunnel)
        }
    }

    private func answer(
        _ question: ControlMessage,
        _ connector: Connector,
        _ waitsForTunnel: Bool
    ) async -> Outcome {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { state in
                    state.waiting = continuation
                    if waitsForTunnel { state.unasked = question }
                }
                guard !Task.isCancelled else { return end(.failed("the connector is stopping")) }
                // One tunnel is enough.
                if let tunnel = connector.state.live().first(where: { $0.hasControl }) {
                    tunnel.send(question)
                } else if !waitsForTunnel {
                    end(.failed("the service has no control stream"))
                }
            }
        } onCancel: {
            end(.failed("the connector is stopping"))
        }
    }
}
