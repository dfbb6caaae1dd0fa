import Testing

@testable import ConnectivityService

/// What one of many may take; time is a number here.
@Suite struct RequestMeterTests {
    private static let second: Int64 = 1_000_000_000
    private let meter = RequestMeter()

    private func limits(inFlight: Int = 0, perSecond: Int = 0, bytes: Int = 0) -> RequestLimits {
        var limits = RequestLimits()
        (limits.inFlight, limits.perSecond, limits.bytesPerSecond) = (inFlight, perSecond, bytes)
        return limits
    }

    @Test func `So many requests may be in flight, and another one when one of them is over`() {
        let limits = limits(inFlight: 2)
        #expect(meter.begin(limits, now: 0) == nil && meter.begin(limits, now: 0) == nil)
        #expect(meter.begin(limits, now: 0) == Excess(kind: .inFlight, limit: 2, wait: 1))
        #expect(meter.inFlight == 2, "the one that was refused does not count")
        meter.end(limits, bytes: 0, now: 0)
        #expect(meter.begin(limits, now: 0) == nil)
    }

    @Test func `A second's worth may come at once; then they come at the rate, on average`() {
        let limits = limits(perSecond: 10)
        let start = 5 * Self.second
        for _ in 0..<10 { #expect(meter.begin(limits, now: start) == nil) }
        #expect(meter.begin(limits, now: start) == Excess(kind: .rate, limit: 10, wait: 1))
        #expect(meter.begin(limits, now: start + Self.second / 10) == nil)
        #expect(meter.begin(limits, now: start + Self.second / 10) != nil)
        // After a rest no more than a second's worth has been saved up.
        var admitted = 0
        while meter.begin(limits, now: start + 100 * Self.second) == nil { admitted += 1 }
        #expect(admitted == 10)
        // Whoever tries all the time gets the rate, exactly.
        admitted = 0
        for step in 1...1000
        where meter.begin(limits, now: start + 100 * Self.second + Int64(step) * Self.second / 100) == nil {
            admitted += 1
        }
        #expect(admitted == 100)
    }

    @Test func `Bytes are paid for afterwards: a large answer comes whole, and the next one waits`() {
        let limits = limits(bytes: 1000)
        #expect(meter.begin(limits, now: 0) == nil)
        meter.end(limits, bytes: 5000, now: 0)
        #expect(meter.begin(limits, now: 0) == Excess(kind: .bytes, limit: 1000, wait: 4))
        #expect(meter.begin(limits, now: 3_999_999_999)?.wait == 1)
        #expect(meter.begin(limits, now: 4 * Self.second) == nil)
        meter.end(limits, bytes: .max, now: 4 * Self.second)
        #expect(meter.begin(limits, now: 86_500 * Self.second) == nil, "a day at most")
    }

    @Test func `What another limit refuses counts for none`() {
        let (wide, narrow) = (limits(inFlight: 10, perSecond: 3), limits(inFlight: 1))
        var all = FairnessLimits()
        (all.subaccount, all.client) = (wide, narrow)
        let names = MeteredNames(subaccount: meter, client: RequestMeter(), virtualHost: RequestMeter())
        var excess: (scope: RequestMeters.Scope, Excess)?
        let first = Admission(names, all, now: 0, excess: &excess)
        #expect(first != nil && excess == nil)
        for _ in 0..<5 {
            #expect(Admission(names, all, now: 0, excess: &excess) == nil)
            #expect(excess?.scope == .client && excess?.1.kind == .inFlight)
        }
        #expect(meter.inFlight == 1)
        first?.end(now: 0)
        #expect(
            meter.inFlight == 0 && Admission(names, all, now: 0, excess: &excess) != nil,
            "the rate was not used up"
        )
    }

    @Test func `Names without end take no memory without end, and those in use stay`() {
        let meters = RequestMeters()
        let limits = limits(inFlight: 5)
        let busy = meters.meter(.client([1]), now: 0)
        _ = busy.begin(limits, now: 0)
        for number in 0..<(RequestMeters.limit + 10) {
            _ = meters.meter(.client(Array("\(number) name".utf8)), now: 0)
        }
        #expect(meters.count(.client) <= RequestMeters.limit)
        #expect(meters.meter(.client([1]), now: 0) === busy && !busy.isRetired)
        let other = meters.meter(.subaccount([1]), now: 0)
        #expect(other !== busy && !other.isRetired, "each scope has its own table")
    }

    @Test func `Two loops that ask at once never get more than the limit`() async {
        let limits = limits(inFlight: 50, perSecond: 1_000_000)
        let most = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { [meter] in
                    var most = 0
                    for _ in 0..<20_000 where meter.begin(limits, now: 0) == nil {
                        most = max(most, meter.inFlight)
                        meter.end(limits, bytes: 0, now: 0)
                    }
                    return most
                }
            }
            return await group.reduce(0, max)
        }
        #expect(most <= 54 && meter.inFlight == 0)
    }

    @Test func `Several services let through an even share each, never less than one`() {
        var all = FairnessLimits()
        all.subaccount = limits(inFlight: 9, perSecond: 10, bytes: 1)
        #expect(all.share(of: 1) == all)
        let share = all.share(of: 3)
        #expect(share.subaccount == limits(inFlight: 3, perSecond: 4, bytes: 1))
        #expect(share.client == RequestLimits() && share.virtualHost == RequestLimits(), "what is not limited stays so")
    }
}
