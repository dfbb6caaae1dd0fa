import AdminProtocol
import Testing

@testable import ConnectorCommands

/// What `connectord status` prints.
struct StatusTextTests {
    private static func system(_ host: String, _ availability: Availability) -> ConnectorStatus.System {
        ConnectorStatus.System(
            virtualHost: host,
            internalHost: "inner:80",
            protocol: "HTTP",
            activeResources: 1,
            availability: availability
        )
    }

    @Test("Systems stand in columns, with what the last look at them said")
    func table() {
        var reachable = Availability()
        reachable.state = .reachable
        reachable.milliseconds = 3
        var gone = Availability()
        gone.state = .notReachable
        gone.cause = "connection refused"
        let text = StatusText.table([
            Self.system("a:1", reachable), Self.system("longer.example:443", gone), Self.system("c:3", Availability()),
        ])
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.count == 3)
        #expect(lines[0] == "  a:1                 inner:80  HTTP  1 resource  reachable (3.0 ms)")
        #expect(lines[1] == "  longer.example:443  inner:80  HTTP  1 resource  not reachable: connection refused")
        #expect(lines[2].hasSuffix("unchecked"))
    }

    @Test("No systems are said to be none")
    func none() { #expect(StatusText.table([]) == "no systems are exposed\n") }
}
