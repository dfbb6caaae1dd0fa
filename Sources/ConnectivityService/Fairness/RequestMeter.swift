internal import Synchronization

/// What one subaccount, client or virtual host takes, exact over all event loops.
///
/// Rates are measured by the time at which what was asked for would be paid off (the generic cell rate algorithm, ITU-T I.371): one number,
/// no timers. A second's worth may come at once.
final class RequestMeter: Sendable {
    private let count = Atomic<Int>(0)
    private let requestsPaid = Atomic<Int64>(0)
    private let bytesPaid = Atomic<Int64>(0)
    private let retired = Atomic<Bool>(false)

    private static let second: Int64 = 1_000_000_000

    var inFlight: Int { count.load(ordering: .relaxed) }

    /// Whether it owes nothing, so that it can be forgotten.
    ///
    /// - Parameter now: nanoseconds of a clock that never goes back.
    func isIdle(now: Int64) -> Bool {
        inFlight == 0 && requestsPaid.load(ordering: .relaxed) <= now && bytesPaid.load(ordering: .relaxed) <= now
    }

    /// It is in no table any more: who holds it has to look again.
    func retire() { retired.store(true, ordering: .relaxed) }
    var isRetired: Bool { retired.load(ordering: .relaxed) }

    /// Lets a request begin, or says why not. One that began has to `end`.
    func begin(_ limits: RequestLimits, now: Int64) -> Excess? {
        if limits.bytesPerSecond > 0 {
            let debt = bytesPaid.load(ordering: .relaxed) - now - Self.second
            if debt > 0 { return Excess(kind: .bytes, limit: limits.bytesPerSecond, wait: Self.seconds(debt)) }
        }
        let before = count.wrappingAdd(1, ordering: .relaxed).oldValue
        if limits.inFlight > 0, before >= limits.inFlight {
            count.wrappingAdd(-1, ordering: .relaxed)
            return Excess(kind: .inFlight, limit: limits.inFlight, wait: 1)
        }
        guard limits.perSecond > 0 else { return nil }
        let cost = max(1, Self.second / Int64(limits.perSecond))
        var known = requestsPaid.load(ordering: .relaxed)
        while true {
            let paid = max(known, now) + cost
            // Below one a second, the first one is a second's worth already.
            let excess = paid - now - max(Self.second, cost)
            if excess > 0 {
                count.wrappingAdd(-1, ordering: .relaxed)
                return Excess(kind: .rate, limit: limits.perSecond, wait: Self.seconds(excess))
            }
            let (exchanged, seen) = requestsPaid.compareExchange(expected: known, desired: paid, ordering: .relaxed)
            if exchanged { return nil }
            known = seen
        }
    }

    /// It did not begin after all, since another limit was against it.
    func takeBack(_ limits: RequestLimits) {
        count.wrappingAdd(-1, ordering: .relaxed)
        guard limits.perSecond > 0 else { return }
        requestsPaid.wrappingAdd(-max(1, Self.second / Int64(limits.perSecond)), ordering: .relaxed)
    }

    /// - Parameter bytes: of the request and its response; paid for afterwards, since nobody knows before how many there will be.
    func end(_ limits: RequestLimits, bytes: Int, now: Int64) {
        count.wrappingAdd(-1, ordering: .relaxed)
        guard limits.bytesPerSecond > 0, bytes > 0 else { return }
        // A day at most: one download too many is no sentence for life.
        let day = Self.second * 86_400
        let cost = Int64(min(Double(bytes) / Double(limits.bytesPerSecond) * Double(Self.second), Double(day)))
        var known = bytesPaid.load(ordering: .relaxed)
        while true {
            let paid = min(max(known, now) + cost, now + day)
            let (exchanged, seen) = bytesPaid.compareExchange(expected: known, desired: paid, ordering: .relaxed)
            if exchanged { return }
            known = seen
        }
    }

    private static func seconds(_ time: Int64) -> Int { Int((time + second - 1) / second) }
}
