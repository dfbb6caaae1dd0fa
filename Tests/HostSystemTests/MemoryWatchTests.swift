import Testing

@testable import HostSystem

struct MemoryWatchTests {
    private static let mib = 1 << 20

    @Test(
        "What is used is not given back; what is not used any more is, once, when it has stayed so from one look to the next"
    )
    func storm() {
        var watch = MemoryWatch()
        let looks = [(20, 16), (120, 116), (120, 30), (120, 116), (120, 30), (120, 30), (35, 30), (25, 20)].map {
            resident,
            used in
            let must = watch.mustRelease(resident: resident * Self.mib, used: used * Self.mib)
            if must { watch.released(resident: (used + 5) * Self.mib, used: used * Self.mib) }
            return must
        }
        #expect(looks == [true, false, false, false, false, true, false, false])
    }

    @Test("What a release could not give back is not asked for again, until there is more of it")
    func fragments() {
        var watch = MemoryWatch()
        let isFirst = watch.mustRelease(resident: 60 * Self.mib, used: 10 * Self.mib)
        #expect(isFirst)
        for _ in 0..<2 {
            watch.released(resident: 40 * Self.mib, used: 10 * Self.mib)
        }
        let after = [40, 44, 44, 50, 50].map { watch.mustRelease(resident: $0 * Self.mib, used: 10 * Self.mib) }
        #expect(after == [false, false, false, false, true])
    }

    @Test("What has been set up is followed by a release, once, when there comes no more of it")
    func growth() {
        var watch = MemoryWatch()
        func looks(_ used: Int, _ count: Int) -> [Bool] {
            (0..<count).map { _ in
                let must = watch.mustRelease(resident: (used + 4) * Self.mib, used: used * Self.mib)
                if must { watch.released(resident: (used + 4) * Self.mib, used: used * Self.mib) }
                return must
            }
        }
        let start = looks(4, 1) + looks(5, 1) + looks(8, 5)
        #expect(start == [true] + Array(repeating: false, count: 6))
        let (settled, more) = (looks(8, 8), looks(9, 20) + looks(10, 5))
        #expect(settled == [true] + Array(repeating: false, count: 7) && !more.contains(true))
        #expect(looks(10, 2) == [true, false])
        let fallen = looks(7, 7)
        #expect(fallen == [false, false, false, false, false, true, false])
    }

    @Test("This process knows what it uses, and that it is not more than it holds by far")
    func process() {
        let kept = [UInt8](repeating: 1, count: 32 * Self.mib)
        let used = ProcessMemory.used()
        #expect(used > 32 * Self.mib && kept.count == 32 * Self.mib)
        #expect(used < ProcessMemory.resident() + 512 * Self.mib)
    }
}
