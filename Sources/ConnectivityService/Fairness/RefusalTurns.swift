internal import NIOCore

/// Turns of an event loop's connections that ask for more than they may. Their answers and their next requests come one after the
/// other, however many there are, so that making refusals takes a small part of the loop and never many at a time.
///
///     request beyond a limit ──its turn──▶ 429 ──a quarter of a second, and its turn──▶ next request
///
/// No clock and no timer: it says when it wants to be asked.
struct RefusalTurns<Waiting> {
    /// Between two answers: 1,000 of them a second, with the requests that follow, take a twentieth of a processor.
    static var interval: TimeAmount { .milliseconds(1) }
    /// After an answer, until the next request of its connection.
    static var pause: TimeAmount { .milliseconds(250) }
    /// Connections that wait for an answer. One more is cut.
    static var limit: Int { 5_000 }
    /// Taken in one go. What is late stays late, and does not come at once.
    static var batch: Int { 4 }
    /// At least, between two times when there is something to do.
    static var rest: TimeAmount { .milliseconds(1) }

    enum Turn { case now, later, never }
    enum Due { case answer(Waiting), goOn(Waiting) }

    private var answers = CircularBuffer<(at: NIODeadline, who: Waiting)>()
    /// In order, since all wait equally long.
    private var pauses = CircularBuffer<(at: NIODeadline, who: Waiting)>()
    private var lastAnswer = NIODeadline.uptimeNanoseconds(0)

    var isEmpty: Bool { answers.isEmpty && pauses.isEmpty }

    /// When the next one is due.
    var next: NIODeadline? {
        switch (answers.first?.at, pauses.first?.at) {
        case (let answer?, let pause?): min(answer, pause)
        case (let answer, let pause): answer ?? pause
        }
    }

    /// A request is to be refused: now, when it is its turn, or not at all as too many wait.
    mutating func asks(_ who: Waiting, now: NIODeadline) -> Turn {
        let at = max(now, lastAnswer + Self.interval)
        if at == now {
            lastAnswer = at
            return .now
        }
        guard answers.count < Self.limit else { return .never }
        lastAnswer = at
        answers.append((at, who))
        return .later
    }

    /// It was refused.
    mutating func pauses(_ who: Waiting, now: NIODeadline) { pauses.append((now + Self.pause, who)) }

    /// The next one whose turn it is; to be asked `batch` times at most.
    mutating func takeDue(now: NIODeadline) -> Due? {
        if let first = answers.first, first.at <= now { return .answer(answers.removeFirst().who) }
        if let first = pauses.first, first.at <= now { return .goOn(pauses.removeFirst().who) }
        return nil
    }
}
