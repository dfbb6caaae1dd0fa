import Testing

@testable import HostSystem

struct WallClockTests {
    @Test("Time is written as in ISO 8601, and file stamps sort by age")
    func time() {
        #expect(WallClock.text(0) == "1970-01-01T00:00:00Z")
        #expect(WallClock.text(1_795_256_151) == "2026-11-21T10:15:51Z")
        #expect(WallClock.fileStamp().wholeMatch(of: /\d{8}-\d{6}/) != nil)
    }
}
