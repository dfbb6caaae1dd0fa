import PageAccess
import Testing

@testable import Networking

struct PageAccessTests {
    @Test("A session is known by its cookie alone, among others, and ends without use or with its life")
    func sessions() throws {
        let sessions = PageSessions<String>(
            cookie: "name",
            .init(idle: .seconds(900), life: .seconds(3600), count: 4)
        )
        let start = ContinuousClock.now
        let opened = try sessions.open("alice", isTLS: true, now: start)
        #expect(opened.cookie.hasSuffix("; Path=/; HttpOnly; SameSite=Strict; Secure"))
        let cookie = String(opened.cookie.prefix { $0 != ";" })
        func owner(_ cookie: String, _ seconds: Int, isUse: Bool = true) -> String? {
            sessions.session([cookie], isUse: isUse, now: start + .seconds(seconds))?.owner
        }
        #expect(owner(cookie, 0) == "alice")
        #expect(owner("a=b; \(cookie); c", 800) == "alice")
        #expect(owner(cookie.dropLast() + "x", 800) == nil && owner("name=", 800) == nil)
        // What asks by itself keeps nothing alive.
        #expect(owner(cookie, 1600, isUse: false) == "alice" && owner(cookie, 1701) == nil)
        let second = try sessions.open("bob", isTLS: false, now: start)
        let other = String(second.cookie.prefix { $0 != ";" })
        for time in stride(from: 0, through: 3500, by: 500) { #expect(owner(other, time) == "bob") }
        #expect(owner(other, 3601) == nil)
    }

    @Test("Of too many sessions the one goes that was used the longest ago; those of one owner can be ended")
    func limits() throws {
        let sessions = PageSessions<Int>(cookie: "c", .init(idle: .seconds(900), life: .seconds(900), count: 2))
        let start = ContinuousClock.now
        let cookies = try (0..<3).map { number in
            String(try sessions.open(number, isTLS: false, now: start + .seconds(number)).cookie.prefix { $0 != ";" })
        }
        func open() -> [Int] { cookies.compactMap { sessions.session([$0], now: start + .seconds(9))?.owner } }
        #expect(open() == [1, 2])
        sessions.close { $0 == 1 }
        #expect(open() == [2])
        sessions.close([cookies[2]])
        #expect(open() == [])
    }

    @Test("However many wrong passwords wait, the right one gets its turn, and those who hung up cost no time")
    func turns() async throws {
        let turns = PasswordTurns(pause: .milliseconds(20))
        let gone = ClientPresence()
        gone.leave()
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<1000 { group.addTask { await turns.attempt(from: "1.2.3.4", gone) { false } } }
            for _ in 0..<40 { group.addTask { await turns.attempt(from: "1.2.3.4", ClientPresence()) { false } } }
            group.addTask { await turns.attempt(from: "1.2.3.4", ClientPresence()) { true } }
            group.addTask { await turns.attempt(from: "5.6.7.8", ClientPresence()) { true } }
            #expect(await group.reduce(0) { $0 + ($1 ? 1 : 0) } == 2)
        }
        #expect(turns.addresses == 0)
    }
}
