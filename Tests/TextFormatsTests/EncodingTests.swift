import Testing

@testable import TextFormats

struct PercentTextTests {
    @Test("Unreserved characters stay, everything else is escaped, and comes back")
    func roundTrip() {
        let text = "aZ09-._~ /?#%+äöü€😀\u{0}\n"
        let encoded = PercentText.encode(text)
        #expect(encoded.hasPrefix("aZ09-._~%20%2F%3F%23%25%2B%C3%A4"))
        #expect(encoded.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect(PercentText.decode(encoded) == text)
    }

    @Test("A plus is a space only in forms")
    func plus() {
        #expect(PercentText.decode("a+b") == "a+b")
        #expect(PercentText.decode(Array("a+b%2B".utf8), plusIsSpace: true) == "a b+")
    }

    @Test(
        "Half an escape, or bytes that are not UTF-8, are refused",
        arguments: ["%", "%4", "%g0", "%0g", "a%", "%ff", "%c3", "%ed%a0%80"]
    )
    func broken(_ text: String) { #expect(PercentText.decode(text) == nil) }
}

struct FormDataTests {
    private static func form(_ text: String) -> FormData? { FormData(Array(text.utf8)) }

    @Test("Pairs are taken apart, with empty values and escapes")
    func pairs() throws {
        let form = try #require(Self.form("grant_type=client_credentials&a=&b&c=x%26y%3Dz&d+e=f+g"))
        #expect(
            form["grant_type"] == "client_credentials" && form["a"] == "" && form["b"] == "" && form["c"] == "x&y=z"
        )
        #expect(form["d e"] == "f g" && form["nothing"] == nil)
    }

    @Test(
        "A name that comes twice, a bad escape, bytes that are not UTF-8: nothing of it counts",
        arguments: ["a=1&a=2", "a=%zz", "a=%ff", "%=1"]
    )
    func refused(_ text: String) { #expect(Self.form(text) == nil) }

    @Test("There are at most a hundred pairs")
    func limit() {
        #expect(Self.form((0..<100).map { "a\($0)=1" }.joined(separator: "&")) != nil)
        #expect(Self.form((0..<101).map { "a\($0)=1" }.joined(separator: "&")) == nil)
    }

    @Test("Nothing is a form of no pairs")
    func empty() { #expect(Self.form("") != nil && Self.form("&&") != nil) }
}

struct HexadecimalTests {
    @Test("Every byte comes back, in either case of its digits")
    func roundTrip() {
        let all = (0...255).map { UInt8($0) }
        let text = Hexadecimal.text(all)
        #expect(text.hasPrefix("000102") && text.hasSuffix("fdfeff") && text.utf8.count == 512)
        #expect(Hexadecimal.bytes(text) == all && Hexadecimal.bytes(text.uppercased()) == all)
    }

    @Test("Anything but pairs of digits is refused", arguments: ["0", "0g", "g0", " 00", "00 ", "0x", "é0"])
    func broken(_ text: String) { #expect(Hexadecimal.bytes(text) == nil) }
}

struct DurationTextTests {
    @Test("Times are written in seconds where they are whole seconds")
    func format() {
        #expect(DurationText.format(nanoseconds: 1_000_000_000) == "1s")
        #expect(DurationText.format(nanoseconds: 100_000_000) == "100ms")
        #expect(DurationText.format(nanoseconds: 1_500_000_000) == "1500ms")
        #expect(DurationText.format(nanoseconds: 0) == "0s")
    }

    @Test("What is written is read again", arguments: ["1ms", "999ms", "1s", "60s"])
    func roundTrip(_ text: String) throws {
        #expect(DurationText.format(nanoseconds: try #require(DurationText.nanoseconds(text))) == text)
    }

    @Test("The largest number of each unit is taken, and none overflows")
    func limits() {
        #expect(DurationText.nanoseconds("1000000000ms") == 1_000_000_000_000_000)
        #expect(DurationText.nanoseconds("1000000001ms") == nil)
        #expect(DurationText.nanoseconds("1000000000h") == nil, "more than 64 bits hold")
        #expect(DurationText.nanoseconds("9223372036854775807s") == nil)
    }
}

struct ReasonPhraseTests {
    @Test("Known statuses have their words, and unknown ones a word that says nothing")
    func phrases() {
        #expect("\(ReasonPhrase.of(200))" == "OK" && "\(ReasonPhrase.of(404))" == "Not Found")
        #expect("\(ReasonPhrase.of(503))" == "Service Unavailable" && "\(ReasonPhrase.of(599))" == "Unassigned")
        for status in 100...599 { #expect(!"\(ReasonPhrase.of(status))".isEmpty) }
    }
}

struct CountTests {
    @Test("One is one, and any other number is many")
    func count() {
        #expect(Count.text(1, "tunnel") == "1 tunnel" && Count.text(0, "tunnel") == "0 tunnels")
        #expect(Count.text(2, "tunnel") == "2 tunnels")
    }
}

struct RefusalReportTests {
    @Test(
        "A field of ours says side, source, phase and cause",
        arguments: ["a cause", "with \\\"quotes\\\" and \\\\ backslashes", ""]
    )
    func read(_ cause: String) throws {
        let text = "cloud-connector; error=x; details=\"source=backend phase=response-head: \(cause)\""
        let report = try #require(RefusalReport(proxyStatus: text))
        #expect(
            report.error == "x" && report.side == "cloud-connector" && report.source == .backend
                && report.phase == .responseHead
        )
        #expect(report.cause == cause.replacing("\\\"", with: "\"").replacing("\\\\", with: "\\"))
    }

    @Test(
        "What neither side of ours has written says nothing",
        arguments: [
            "nginx; details=\"source=backend phase=connect: x\"",
            "cloud-connector; details=\"source=elsewhere phase=connect: x\"",
            "cloud-connector; details=\"source=backend phase=never: x\"",
            "cloud-connector; details=\"source=backend: x\"",
            "cloud-connector; details=\"source=backend phase=connect: x", "cloud-connector", "",
        ]
    )
    func foreign(_ text: String) { #expect(RefusalReport(proxyStatus: text) == nil) }
}
