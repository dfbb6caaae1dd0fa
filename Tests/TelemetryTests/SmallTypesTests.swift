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

    @Test("A journal field may hold line ends: its length says where it stops")
    func journal() {
        var datagram: [UInt8] = []
        Journal.append("A", "b\nC=d", &datagram)
        #expect(datagram == Array("A\n".utf8) + [5, 0, 0, 0, 0, 0, 0, 0] + Array("b\nC=d\n".utf8))
    }

}
