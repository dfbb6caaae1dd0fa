import Testing

@testable import Telemetry

struct ConnectorLogHandlerTests {
    @Test("Nothing that a value holds can leave its quotes or its line")
    func escaping() {
        #expect(ConnectorLogHandler.escaped("a\"b\n\u{1B}[2J ü\u{2028}") == "a\\\"b\\u{a}\\u{1b}[2J ü\\u{2028}")
    }
}
