import Testing
import TextFormats
import TunnelCore

@testable import ConnectivityService

struct RecentRefusalsTests {
    private func entry(_ target: String, time: Int = 0) -> RecentRefusals.Entry {
        RecentRefusals.Entry(
            time: time,
            subaccount: "s",
            locationID: "",
            method: "GET",
            target: target,
            status: 403,
            source: .policy,
            phase: .system,
            cause: "system not exposed",
            side: "cloud-connector"
        )
    }

    @Test("The same refusal counts once, the latest stands first, and there are never more than the limit")
    func limit() {
        let refusals = RecentRefusals()
        for index in 0..<(RecentRefusals.limit * 2) { refusals.record(entry("http://a/\(index)")) }
        #expect(refusals.all.count == RecentRefusals.limit)
        refusals.record(entry("http://a/150", time: 7))
        #expect(refusals.all.count == RecentRefusals.limit)
        #expect(refusals.all[0].target == "http://a/150" && refusals.all[0].count == 2 && refusals.all[0].time == 7)
    }

    @Test("What one side writes into Proxy-Status the other reads again, whatever the cause holds")
    func proxyStatus() {
        for cause in ["resource not exposed", "a: b \"c\" \\ d", "", "source=x phase=y: z"] {
            let refusal = Refusal(
                status: 502,
                source: .backend,
                phase: .responseHead,
                cause: cause,
                proxyStatus: "connection_refused",
                text: ""
            )
            let report = RefusalReport(proxyStatus: refusal.proxyStatusField(by: "cloud-connector"))
            #expect(
                report?.side == "cloud-connector" && report?.source == .backend && report?.phase == .responseHead
            )
            #expect(report?.cause == cause)
        }
        for text in [
            "", "nginx; error=x; details=\"source=a phase=b: c\"", "cloud-connector; error=x",
            "cloud-connector; details=\"source=a\"",
        ] {
            #expect(RefusalReport(proxyStatus: text) == nil)
        }
    }
}
