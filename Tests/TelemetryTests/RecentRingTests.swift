import Telemetry
import Testing

struct RecentRingTests {
    @Test("The latest are kept, the latest first, and no more than the limit")
    func latest() {
        var ring = RecentRing<Int>(limit: 3) { 0 }
        #expect(ring.all.isEmpty)
        for number in 1...5 {
            #expect(ring.begin { $0 = number } == number - 1)
            #expect(ring.all == Array((max(1, number - 2)...number).reversed()))
        }
    }

    @Test("An entry is changed as long as its place is its own")
    func update() {
        var ring = RecentRing<[Int]>(limit: 2) { [] }
        let first = ring.begin { $0 = [1] }
        ring.update(first) { $0.append(10) }
        #expect(ring.all == [[1, 10]])
        _ = ring.begin { $0 = [2] }
        let third = ring.begin { $0 = [3] }
        ring.update(first) { $0 = [99] }
        ring.update(-1) { $0 = [99] }
        ring.update(7) { $0 = [99] }
        ring.update(third) { $0.append(30) }
        #expect(ring.all == [[3, 30], [2]])
    }

    @Test("What was there before is handed out to be written over, so that nothing is allocated for each entry")
    func reuse() {
        var ring = RecentRing<[Int]>(limit: 1) { [] }
        _ = ring.begin { $0 = [1] }
        _ = ring.begin { before in
            #expect(before == [1])
            before.removeAll(keepingCapacity: true)
        }
        #expect(ring.all == [[]])
    }
}
