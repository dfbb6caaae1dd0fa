import Foundation
import Testing

@testable import Telemetry

struct SmallTypesTests {
    @Test("A duration falls into the first bucket that is not smaller")
    func histogram() {
        var histogram = Histogram()
        for milliseconds in [0, 1, 2, 700, 99_000] as [Int64] { histogram.record(milliseconds * 1_000_000) }
        #expect(histogram.counts[0] == 2 && histogram.counts[1] == 1)
        #expect(histogram.counts.last == 1 && histogram.count == 5)
        var sum = histogram
        sum.add(histogram)
        #expect(sum.count == 10 && sum.sum == 2 * histogram.sum)
    }

    @Test("The exposition has cumulative buckets and escapes labels")
    func exposition() {
        var exposition = Exposition()
        exposition.family("a_seconds", .histogram, "Help.")
        var histogram = Histogram()
        histogram.record(2_000_000)
        exposition.histogram(["x": "q\"\\\n"], histogram)
        #expect(exposition.text.hasPrefix("# HELP a_seconds Help.\n# TYPE a_seconds histogram\n"))
        #expect(exposition.text.contains("a_seconds_bucket{x=\"q\\\"\\\\\\n\",le=\"0.001\"} 0\n"))
        #expect(exposition.text.contains("le=\"+Inf\"} 1\n"))
        #expect(exposition.text.hasSuffix("a_seconds_count{x=\"q\\\"\\\\\\n\"} 1\n"))
    }

    @Test("Time is written as in ISO 8601, and file stamps sort by age")
    func time() {
        #expect(WallClock.text(0) == "1970-01-01T00:00:00Z")
        #expect(WallClock.text(1_795_256_151) == "2026-11-21T10:15:51Z")
        #expect(WallClock.fileStamp().wholeMatch(of: /\d{8}-\d{6}/) != nil)
    }

    @Test("A journal field may hold line ends: its length says where it stops")
    func journal() {
        var datagram: [UInt8] = []
        Journal.append("A", "b\nC=d", &datagram)
        #expect(datagram == Array("A\n".utf8) + [5, 0, 0, 0, 0, 0, 0, 0] + Array("b\nC=d\n".utf8))
    }

    @Test("A file is the old one or the new one")
    func atomicFile() throws {
        let path = NSTemporaryDirectory() + "atomic-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try AtomicFile.write("old", to: path, mode: 0o600)
        try AtomicFile.write("new", to: path, mode: 0o644)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
        #expect(throws: AuditError.self) { try AtomicFile.write("x", to: "/nonexistent/x", mode: 0o600) }
    }
}
