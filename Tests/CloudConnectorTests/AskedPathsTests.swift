import AccessPolicy
import NIOCore
import Testing

@testable import CloudConnector

struct AskedPathsTests {
    private func bytes(_ path: String) -> ArraySlice<UInt8> { Array(path.utf8)[...] }

    private func lines(_ asked: AskedPaths, at hour: Int, since: Int = 24) -> [String] {
        asked.all(at: hour, since: since).map {
            "\($0.method) \(String(decoding: $0.path, as: UTF8.self)) \($0.count) \($0.refused)"
        }.sorted()
    }

    @Test("Requests are counted by method and path, and each hour for itself")
    func counts() {
        var asked = AskedPaths()
        func record(
            _ asked: inout AskedPaths,
            _ method: RequestMethod,
            _ path: String,
            _ hour: Int,
            _ isRefused: Bool = false
        ) {
            _ = asked.record(method, bytes(path), at: hour, isRefused: isRefused, hasRoom: true)
        }
        record(&asked, .get, "/a", 100)
        record(&asked, .get, "/a", 100, true)
        record(&asked, .post, "/a", 101)
        record(&asked, .other(Array("PROPFIND".utf8)), "/a", 101)
        #expect(lines(asked, at: 101) == ["GET /a 2 1", "POST /a 1 0", "PROPFIND /a 1 0"])
        #expect(lines(asked, at: 101, since: 1) == ["POST /a 1 0", "PROPFIND /a 1 0"])
        record(&asked, .get, "/a", 110)
        #expect(lines(asked, at: 110).contains("GET /a 3 1") && lines(asked, at: 123).contains("GET /a 3 1"))
        #expect(lines(asked, at: 124).contains("GET /a 1 1"), "what is a day old counts no more")
        record(&asked, .get, "/a", 500)
        #expect(lines(asked, at: 500) == ["GET /a 1 1"])
    }

    @Test("Paths are limited in number and length, and those that nobody asks for any more make room")
    func limits() {
        var asked = AskedPaths()
        func add(_ path: String, at hour: Int, hasRoom: Bool = true) -> Bool {
            asked.record(.get, bytes(path), at: hour, isRefused: false, hasRoom: hasRoom)
        }
        #expect(add("/a", at: 1))
        #expect(!add("/a", at: 1, hasRoom: false), "known already")
        #expect(!add("/b", at: 1, hasRoom: false))
        let long = "/" + String(repeating: "x", count: AskedPaths.pathLimit)
        #expect(!add(long, at: 1))
        let odd = RequestMethod.other([UInt8](repeating: UInt8(ascii: "M"), count: AskedPaths.methodLimit + 1))
        let isKept = asked.record(odd, bytes("/a"), at: 1, isRefused: false, hasRoom: true)
        #expect(!isKept && asked.missed == 3 && asked.entries.count == 1)
        for number in 0..<1000 {
            #expect(add("/n\(number)", at: 20))
        }
        let trimmed = [asked.trim(at: 24), asked.trim(at: 25)]
        #expect(trimmed == [0, 1] && asked.entries.count == 1000)
        #expect(!add("/n999", at: 26), "still found after that")
        let rest = asked.trim(at: 60)
        #expect(rest == 1000 && lines(asked, at: 60).isEmpty)
    }

    @Test("Of many requests those are kept that took the longest")
    func slowest() {
        var slowest = SlowestForwards()
        let system = SystemMapping(virtualHost: "v", virtualPort: 1, internalHost: "i", internalPort: 1, resources: [])
        for took in (1...1000).shuffled() where Int64(took) > slowest.threshold {
            slowest.add(
                .init(
                    system: system,
                    path: bytes("/"),
                    took: Int64(took),
                    connectTime: 0,
                    backendTime: 0,
                    requestBytes: 0,
                    responseBytes: 0
                )
            )
        }
        #expect(slowest.entries.map(\.took).sorted() == Array(951...1000))
    }
}
