import Telemetry
import Testing

struct RingPlacesTests {
    @Test("The latest are kept, the latest first, and no more than the limit; an array grows place by place")
    func latest() {
        var places = RingPlaces(limit: 3)
        var entries: [Int] = []
        #expect(places.latestFirst.isEmpty)
        for number in 0..<8 {
            let (place, own) = places.begin()
            #expect(own == number && place <= entries.count)
            if place == entries.count { entries.append(0) }
            entries[place] = number
            #expect(places.latestFirst.map { entries[$0] } == Array((max(0, number - 2)...number).reversed()))
        }
        #expect(entries.count == 3)
    }

    @Test("An entry has its place until a later one takes it; what never was has none")
    func place() {
        var places = RingPlaces(limit: 2)
        #expect(places.place(of: 0) == nil)
        let first = places.begin()
        #expect(places.place(of: first.number) == first.place)
        _ = places.begin()
        #expect(places.place(of: first.number) == first.place)
        _ = places.begin()
        #expect(places.place(of: first.number) == nil)
        for number in [-1, 3, 7] { #expect(places.place(of: number) == nil) }
    }
}
