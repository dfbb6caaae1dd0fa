import Testing

@testable import ConnectorProcess

/// When the machine is worth a warning; time is a number here.
@Suite struct AlertWatchTests {
    private let thresholds = AlertThresholds()

    private func seen(load: Int = 0, free: Int? = 1000) -> AlertWatch.Seen {
        AlertWatch.Seen(load: load, ownLoad: 0, freeMiB: free)
    }

    @Test func `A load counts once it has lasted, and is over at once`() {
        var watch = AlertWatch()
        #expect(watch.look(seen(load: 91), thresholds, now: 100).isEmpty)
        #expect(watch.look(seen(load: 95), thresholds, now: 159).isEmpty)
        #expect(watch.look(seen(load: 91), thresholds, now: 160) == [.began(.load)])
        #expect(watch.alerts == [AlertWatch.Alert(kind: .load, since: 160)])
        #expect(watch.look(seen(load: 99), thresholds, now: 200).isEmpty, "it was said already")
        #expect(watch.look(seen(load: 90), thresholds, now: 210) == [.ended(.load)])
        #expect(watch.alerts.isEmpty)
        // A pause begins the time anew.
        #expect(watch.look(seen(load: 91), thresholds, now: 220).isEmpty)
        #expect(watch.look(seen(load: 10), thresholds, now: 230).isEmpty)
        #expect(watch.look(seen(load: 91), thresholds, now: 240).isEmpty)
        #expect(watch.look(seen(load: 91), thresholds, now: 290).isEmpty)
    }

    @Test func `A disk counts when it has less than the threshold; one that nobody knows does not`() {
        var watch = AlertWatch()
        #expect(watch.look(seen(free: 100), thresholds, now: 1).isEmpty)
        #expect(watch.look(seen(free: 99), thresholds, now: 2) == [.began(.disk)])
        #expect(watch.look(seen(load: 100, free: 99), thresholds, now: 3).isEmpty)
        #expect(watch.look(seen(load: 100, free: 99), thresholds, now: 63) == [.began(.load)])
        #expect(watch.look(seen(free: nil), thresholds, now: 64) == [.ended(.load), .ended(.disk)])
        #expect(watch.seen.freeMiB == nil)
    }
}
