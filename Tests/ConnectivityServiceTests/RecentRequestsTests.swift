import AdminProtocol
import NIOCore
import Testing
import TextFormats

@testable import ConnectivityService

struct RecentRequestsTests {
    private static func begin(_ requests: inout RecentRequests, _ method: String, _ target: String) -> Int {
        Array(method.utf8).withUnsafeBytes { method in
            Array(target.utf8).withUnsafeBytes { requests.begin(method: method, target: $0, .now()) }
        }
    }

    @Test("A request is listed from its head on, and once more complete at its end")
    func life() throws {
        var requests = RecentRequests()
        let number = Self.begin(&requests, "GET", "http://a/x?secret=1")
        let open = try #require(requests.all.first)
        #expect(open.method == "GET" && open.target == "http://a/x?…" && open.status == nil && open.milliseconds == nil)
        #expect(open.decision == "forwarded" && open.source == nil)
        requests.update(number) { entry in
            (entry.status, entry.ended, entry.requestBytes, entry.responseBytes) = (502, .now(), 3, 4)
            (entry.connectTime, entry.backendTime) = (1500, 2500)
            entry.report = RefusalReport(
                side: "cloud-connector",
                source: .backend,
                phase: .connect,
                error: "connection_refused",
                cause: "connection refused"
            )
        }
        let done = try #require(requests.all.first)
        #expect(done.status == 502 && done.requestBytes == 3 && done.responseBytes == 4 && done.milliseconds != nil)
        #expect(done.connectMilliseconds == 1.5 && done.backendMilliseconds == 2.5)
        #expect(done.source == .backend && done.decision == "connect" && done.error == "connection_refused")
    }

    @Test("The last are kept, and one that was pushed out is not written to any more")
    func limit() {
        var requests = RecentRequests()
        let first = Self.begin(&requests, "GET", "http://a/0")
        for number in 1...RecentRequests.limit { _ = Self.begin(&requests, "GET", "http://a/\(number)") }
        requests.update(first) { $0.status = 999 }
        let all = requests.all
        #expect(all.count == RecentRequests.limit && all.first?.target == "http://a/\(RecentRequests.limit)")
        #expect(all.last?.target == "http://a/1" && all.allSatisfy { $0.status == nil })
    }

    @Test("What a place held before is not seen again")
    func cleared() throws {
        var requests = RecentRequests()
        let first = Self.begin(&requests, "DELETE", "http://a/long/long/long")
        requests.update(first) { entry in
            (entry.status, entry.ended) = (204, .now())
            (entry.connectTime, entry.backendTime) = (1, 2)
        }
        for _ in 0..<RecentRequests.limit { _ = Self.begin(&requests, "GET", "http://b/") }
        let all = requests.all
        #expect(
            all.allSatisfy {
                $0.method == "GET" && $0.target == "http://b/" && $0.status == nil && $0.connectMilliseconds == nil
            }
        )
    }

    @Test(
        "Long targets are cut, and nothing in them can be taken for a line of its own",
        arguments: [
            "http://a/\u{1B}[2J", "http://a/\r\nX: y", "http://a/" + String(repeating: "x", count: 5000),
        ]
    )
    func hostile(_ target: String) throws {
        var requests = RecentRequests()
        _ = Self.begin(&requests, "GET", target)
        let entry = try #require(requests.all.first)
        #expect(entry.target.utf8.count < 700)
        #expect(entry.target.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "\(entry.target)")
    }
}
