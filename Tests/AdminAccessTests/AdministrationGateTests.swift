import ConnectorTestSupport
import NIOHTTP1
import Networking
import Synchronization
import Testing

@testable import AdminAccess

/// The gate without a listener: requests in, answers out.
struct AdministrationGateTests {
    private final class Stand: Sendable {
        let folder = TemporaryDirectory()
        let users: AdminUsers
        let gate: AdministrationGate
        let events: Events

        final class Events: Sendable {
            private let list = Mutex<[AdministrationGate.Event]>([])
            var all: [AdministrationGate.Event] { list.withLock { $0 } }
            func add(_ event: AdministrationGate.Event) { list.withLock { $0.append(event) } }
        }

        init(_ settings: AdministrationSettings = AdministrationSettings()) throws {
            users = try AdminUsers(folder: folder.path)
            try users.add("alice", .administrator)
            try users.setPassword("correct horse battery", of: "alice")
            let events = Events()
            self.events = events
            gate = try AdministrationGate(
                users,
                settings: { settings },
                event: { events.add($0) },
                open: { $0.path == "/open" ? .text(.ok, "open") : nil },
                inside: { _, caller in .text(.ok, caller.description) }
            )
        }

        func ask(_ headers: HTTPHeaders, path: String = "/x", remote: String = "10.0.0.9")
            async
            -> HTTPResponse
        {
            var headers = headers
            if !headers.contains(name: "host") { headers.add(name: "host", value: "localhost") }
            return await gate.answer(HTTPRequest(method: "GET", path: path, headers: headers, remote: remote))
        }
    }

    // alice:correct horse battery
    private let right = "Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"

    @Test("Whom a proxy speaks for is believed of listed proxies only, and only their last word")
    func proxies() async throws {
        var settings = AdministrationSettings()
        settings.trusted.ranges = [try #require(AddressRange("10.0.0.1"))]
        let stand = try Stand(settings)
        func who(_ remote: String, _ forwarded: String...) async -> String {
            var headers: HTTPHeaders = ["authorization": right]
            for value in forwarded { headers.add(name: "x-forwarded-for", value: value) }
            return String(decoding: await stand.ask(headers, remote: remote).body, as: UTF8.self)
        }
        #expect(await who("10.0.0.9", "1.2.3.4") == "alice from 10.0.0.9")
        #expect(await who("10.0.0.1", "6.6.6.6, 1.2.3.4") == "alice from 1.2.3.4")
        #expect(await who("10.0.0.1", "6.6.6.6", "1.2.3.4") == "alice from 1.2.3.4")
        #expect(await who("10.0.0.1") == "alice from 10.0.0.1")
        #expect(await who("10.0.0.1", String(repeating: "9", count: 99)) == "alice from 10.0.0.1")
    }

    @Test(
        "What is no name and password lets nobody in",
        arguments: ["", "Basic", "Basic ", "Basic YWxpY2U=", "Basic ????", "Bearer x", "Basic Og==", "Basic YWxpY2U6"]
    )
    func nonsense(_ authorization: String) async throws {
        let stand = try Stand()
        #expect(await stand.ask(["authorization": authorization]).status == .unauthorized)
        #expect(await stand.ask(["authorization": authorization], path: "/open").status == .ok)
    }

    @Test("A password is asked for again after it has changed, and a removed user is out with all sessions")
    func changes() async throws {
        let stand = try Stand()
        let first = await stand.ask(["authorization": right])
        let cookie = try #require(
            first.headers.first(name: "set-cookie")?.split(separator: ";").first.map { String($0) }
        )
        #expect(await stand.ask(["cookie": cookie]).status == .ok)
        try stand.users.setPassword("another battery staple", of: "alice")
        stand.gate.endSessions(of: "alice")
        #expect(await stand.ask(["authorization": right]).status == .unauthorized)
        #expect(await stand.ask(["cookie": cookie]).status == .unauthorized)
        try stand.users.add("bob", .administrator)
        try stand.users.setPassword("correct horse battery", of: "bob")
        try stand.users.remove("alice")
        let refusals = stand.events.all.filter { if case .refused = $0 { true } else { false } }
        #expect(refusals == [.refused(name: "alice", address: "10.0.0.9")])
    }

    @Test("Names of others are turned away before anything is looked at; addresses are nobody's names")
    func names() async throws {
        var settings = AdministrationSettings()
        settings.hostNames = ["Admin.Example.Com"]
        let stand = try Stand(settings)
        for host in ["localhost:8443", "127.0.0.1", "10.1.2.3:8443", "[fe80::1]:8443", "admin.example.com"] {
            #expect(await stand.ask(["host": host], path: "/open").status == .ok, "\(host)")
        }
        for host in ["evil.example.com", "127.0.0.1.evil.example.com", "1.2.3.4.5", "", "localhost.evil"] {
            #expect(await stand.ask(["host": host], path: "/open").status == .misdirectedRequest, "\(host)")
        }
    }
}
