import Logging
import Testing
import TextFormats

@testable import Telemetry

/// One line for each event, whatever is in it.
struct LogFormatTests {
    @Test(
        "What a value holds can neither leave its quotes nor its line",
        arguments: ["\n", "\r", "\u{0}", "\u{1B}[31m", "\u{2028}", "\u{202E}", "\u{7F}"]
    )
    func escaped(_ text: String) {
        let result = ConnectorLogHandler.escaped("a\(text)b")
        #expect(result.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0.value < 0x2000 })
        #expect(result.hasPrefix("a") && result.hasSuffix("b"))
    }

    @Test("Letters of all scripts stay readable")
    func readable() { #expect(ConnectorLogHandler.escaped("Größe, 東京, Ελλάδα") == "Größe, 東京, Ελλάδα") }

    @Test("A quote is escaped")
    func quotes() {
        #expect(ConnectorLogHandler.escaped(#"a"b"#) == #"a\"b"#)
        // Nor does a backslash of the value's own hide a quote, or make one.
        #expect(ConnectorLogHandler.escaped(#"a\" level="x"#) == #"a\u{5c}\" level=\"x"#)
        #expect(ConnectorLogHandler.escaped(#"a\\"b\"#) == #"a\\u{5c}\"b\u{5c}"#)
        #expect(ConnectorLogHandler.escaped(#"C:\dir\x41"#) == #"C:\dir\x41"#)
        #expect(ConnectorLogHandler.escaped(#"the name "x" \"#, isQuoted: false) == #"the name "x" \"#)
    }
}

struct HistogramTests {
    @Test("What is recorded is counted once and summed up")
    func sums() {
        var histogram = Histogram()
        for value in [1, 1_000_000, 1_000_000_000, 100_000_000_000] as [Int64] { histogram.record(value) }
        #expect(histogram.count == 4 && histogram.sum == 101_001_000_001)
        #expect(histogram.counts.reduce(0, +) == 4)
    }

    @Test("Two histograms together are what was recorded in both")
    func added() {
        var (one, other, both) = (Histogram(), Histogram(), Histogram())
        for value in stride(from: Int64(1), to: 5_000_000_000, by: 77_777_777) {
            if value % 2 == 0 { one.record(value) } else { other.record(value) }
            both.record(value)
        }
        one.add(other)
        #expect(one == both)
    }

    @Test("A negative duration, of a clock that went back, is a short one and not the end")
    func negative() {
        var histogram = Histogram()
        histogram.record(-5)
        #expect(histogram.count == 1)
    }
}

struct RequestCountsTests {
    @Test(
        "Answers count by class, and what had none counts as none",
        arguments: [(200, 2), (204, 2), (301, 3), (404, 4), (503, 5), (0, 0)]
    )
    func classes(_ status: Int, _ expected: Int) {
        var counts = RequestCounts()
        counts.answered(status)
        #expect(counts.statusClasses[expected] == 1 && counts.statusClasses.reduce(0, +) == 1)
    }

    @Test("Counts of event loops add up")
    func added() {
        var (one, other) = (RequestCounts(), RequestCounts())
        one.answered(200)
        one.requestBytes = 5
        let policy = RefusalKey(.policy, .resource, "http_request_denied")
        let tunnel = RefusalKey(.tunnel, .tunnel, "destination_unavailable")
        one.refusals[policy] = 1
        other.answered(200)
        other.responseBytes = 7
        other.refusals = [policy: 2, tunnel: 1]
        one.add(other)
        #expect(one.statusClasses[2] == 2 && one.requestBytes == 5 && one.responseBytes == 7)
        #expect(one.refusals == [policy: 3, tunnel: 1])
    }
}

struct ExpositionTests {
    @Test("A family has its help and type once, and its samples below")
    func families() {
        var exposition = Exposition()
        exposition.family("a_total", .counter, "Of a.")
        exposition.sample(["x": "1"], 5)
        exposition.sample(["x": "2"], 6)
        #expect(
            exposition.text == "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"1\"} 5\na_total{x=\"2\"} 6\n"
        )
    }

    @Test("A label cannot leave its quotes", arguments: ["\"", "\\", "\n", "a\"} 1\nb{x=\""])
    func labels(_ value: String) {
        var exposition = Exposition()
        exposition.family("a", .gauge, "A.")
        exposition.sample(["x": value], 1)
        #expect(exposition.text.split(separator: "\n").count == 3)
    }
}
