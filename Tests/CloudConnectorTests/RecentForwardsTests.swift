import AccessPolicy
import AdminProtocol
import NIOCore
import Testing
import TextFormats

@testable import CloudConnector

/// What `connectord status --requests` shows on the connector.
struct RecentForwardsTests {
    private static let report = RefusalReport(
        side: "cloud-connector",
        source: .policy,
        phase: .system,
        error: "http_request_denied",
        cause: "system not exposed"
    )

    private static func entry(_ status: Int, _ target: String = "") -> RecentForwards.Entry {
        var entry = RecentForwards.Entry(started: .now())
        (entry.status, entry.target, entry.took) = (status, target, 2_500_000)
        (entry.connectTime, entry.backendTime) = (1_500_000, 750_000)
        return entry
    }

    @Test("What was refused is listed as it came, with who refused it, in which phase and why")
    func refused() throws {
        var list = RecentForwards()
        var entry = Self.entry(403, "http://typo:80/x")
        entry.report = Self.report
        list.add { $0 = entry }
        let shown = try #require(list.all("s", "plant").first)
        #expect(shown.subaccount == "s" && shown.locationID == "plant" && shown.method == "GET")
        #expect(shown.target == "http://typo:80/x" && shown.status == 403)
        #expect(shown.source == .policy && shown.decision == "system" && shown.error == "http_request_denied")
        #expect(shown.cause == "system not exposed")
    }

    @Test("Times are in milliseconds")
    func times() throws {
        var list = RecentForwards()
        list.add { $0 = Self.entry(200) }
        let shown = try #require(list.all("s", "").first)
        #expect(shown.milliseconds == 2.5 && shown.connectMilliseconds == 1.5 && shown.backendMilliseconds == 0.75)
        #expect(shown.decision == "forwarded" && shown.source == nil && shown.error == nil)
    }

    @Test("The latest comes first, and there are no more than the limit")
    func limit() {
        var list = RecentForwards()
        for status in 0..<(RecentForwards.limit + 10) { list.add { $0 = Self.entry(status) } }
        let shown = list.all("s", "")
        #expect(shown.count == RecentForwards.limit && shown.first?.status == RecentForwards.limit + 9)
        #expect(shown.last?.status == 10)
    }
}
