import NIOCore
import Testing

@testable import TunnelCore

struct KeepaliveTests {
    @Test("A peer that is heard is never asked")
    func heard() {
        var keepalive = Keepalive()
        for _ in 0..<10 {
            keepalive.received()
            #expect(keepalive.intervalPassed() == .none)
        }
    }

    @Test("A silent peer is pinged twice and then given up")
    func silent() {
        var keepalive = Keepalive()
        #expect(keepalive.intervalPassed() == .none)
        #expect(keepalive.intervalPassed() == .sendPing)
        #expect(keepalive.intervalPassed() == .sendPing)
        #expect(keepalive.intervalPassed() == .declareDead)
    }

    @Test("Any sign of life starts the count again")
    func recovered() {
        var keepalive = Keepalive()
        _ = keepalive.intervalPassed()
        #expect(keepalive.intervalPassed() == .sendPing)
        keepalive.received()
        #expect(keepalive.intervalPassed() == .none)
        #expect(keepalive.intervalPassed() == .sendPing)
    }
}

struct BackoffTests {
    @Test("Delays grow to the cap, with full jitter above a floor")
    func growth() {
        var backoff = Backoff(initial: .seconds(1), maximum: .seconds(30))
        #expect(backoff.next(1) == .seconds(1))
        #expect(backoff.next(1) == .seconds(2))
        #expect(backoff.next(0) == .milliseconds(400))
        for _ in 0..<100 { _ = backoff.next(0.5) }
        #expect(backoff.next(1) == .seconds(30))
        backoff.reset()
        #expect(backoff.ceiling == .seconds(1))
    }
}

struct ConnectorIdentityTests {
    @Test(
        "An identity survives its way through a certificate",
        arguments: [("sub", ""), ("3b7e-1", "Loc 1"), ("a/b", "ü/%"), ("s", "..")]
    )
    func roundTrip(_ subaccount: String, _ locationID: String) {
        let identity = ConnectorIdentity(subaccount: subaccount, locationID: locationID)
        #expect(ConnectorIdentity(uri: identity.uri) == identity)
    }

    @Test(
        "Other URIs are no identity",
        arguments: [
            "", "connector://", "connector:///x", "connector://a", "connector://a/b/c", "https://a/b",
            "connector://%f/x", "connector://%ff/x",
        ]
    )
    func others(_ uri: String) { #expect(ConnectorIdentity(uri: uri) == nil) }
}

struct RefusalTests {
    @Test("Proxy-Status stays one structured string, whatever the cause says")
    func proxyStatus() {
        let refusal = Refusal(
            status: 502,
            source: .backend,
            phase: .connect,
            cause: "a \"quoted\" \\ cause\r\nX: y é",
            proxyStatus: "connection_refused",
            text: ""
        )
        #expect(
            refusal.proxyStatusField(by: "cloud-connector")
                == "cloud-connector; error=connection_refused; details=\"source=backend phase=connect: "
                + "a \\\"quoted\\\" \\\\ cause??X: y ?\""
        )
    }

    @Test("Request IDs are sixteen digits and differ")
    func requestIDs() {
        var generator = RequestIDGenerator(prefix: 1)
        #expect(generator.next() == "0000000100000001")
        #expect(generator.next() == "0000000100000002")
    }

    @Test(
        "What may hold a secret is left out of a target in a log",
        arguments: [
            ("http://host:80/a/b", "http://host:80/a/b"), ("/a?access_token=x#y", "/a?…"), ("/a#b", "/a?…"), ("", ""),
            ("http://user:pw@host/a?b", "http://…@host/a?…"), ("user:p@w@host:80", "…@host:80"), ("/a@b", "/a@b"),
            ("http://host/a@b:c://d@e", "http://host/a@b:c://d@e"), ("http://u@h?x=@y", "http://…@h?…"),
            ("http:\u{0}//u@h", "http:\\x00//…@h"), ("//u:p@h/", "//u:p@h/"),
        ]
    )
    func logTarget(_ target: String, _ expected: String) {
        #expect(LogText.target(target.utf8) == expected)
    }

    @Test("Text from outside becomes one line of visible ASCII of bounded length")
    func logText() {
        #expect(LogText.escaped("a\r\n\u{1B}[2Jü\\".utf8) == "a\\x0d\\x0a\\x1b[2J\\xc3\\xbc\\x5c")
        #expect(LogText.escaped([UInt8](repeating: 97, count: 5000)).utf8.count == LogText.limit + 3)
    }
}

struct DeadlineSweeperTests {
    final class Observer: DeadlineObserver {
        var sweepIndex = -1
        var ticks: [Int] = []
        var leaves: DeadlineSweeper?
        func sweep(_ tick: Int) {
            ticks.append(tick)
            leaves?.remove(self)
        }
    }

    @Test("Every observer is asked once per tick, also while others leave")
    func observers() {
        let sweeper = DeadlineSweeper()
        let observers = (0..<5).map { _ in Observer() }
        for observer in observers { sweeper.add(observer) }
        observers[1].leaves = sweeper
        observers[4].leaves = sweeper
        sweeper.sweep()
        #expect(observers.allSatisfy { $0.ticks == [1] })
        sweeper.sweep()
        #expect(observers[0].ticks == [1, 2] && observers[1].ticks == [1] && observers[4].ticks == [1])
    }

    @Test("A deadline is never early")
    func deadline() {
        let sweeper = DeadlineSweeper()
        #expect(sweeper.deadline(in: .seconds(1)) == 5)
        #expect(sweeper.deadline(in: .milliseconds(1)) == 1)
    }
}

struct FieldBlockTests {
    @Test("Names become lower case, values stay, also beyond the first capacity")
    func fields() {
        let block = FieldBlock(capacity: 16, fields: 1)
        for index in 0..<200 {
            var name = "X-Header-Name-\(index)"
            var value = "Value \(index)"
            name.withUTF8 { name in
                value.withUTF8 { block.append(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) }
            }
        }
        #expect(block.count == 200)
        #expect(block.text("x-header-name-199") == "Value 199")
        #expect(block.copy().text("x-header-name-0") == "Value 0")
        block.removeAll()
        #expect(block.count == 0 && block.size == 0)
    }

    @Test("Lower case is made of capital letters only")
    func lowercase() {
        let all = (UInt8(0)...255).map { $0 }
        for offset in 0..<8 {
            let octets = Array(all[offset...])
            let expected = octets.map { $0 >= 65 && $0 <= 90 ? $0 | 32 : $0 }
            var result = [UInt8](repeating: 0, count: octets.count)
            octets.withUnsafeBytes { source in
                result.withUnsafeMutableBytes { Octets.copyLowercased(source, to: $0.baseAddress!) }
            }
            #expect(result == expected)
        }
    }

    @Test("Octets that no field value may have are found at every place", arguments: [0x20, 0x61, 0x7E, 0x80, 0xFF])
    func invalidOctets(_ filler: UInt8) {
        let count = 75
        var wrong: [String] = []
        for octet in UInt8(0)...255 {
            let isValid = octet == 9 || (octet >= 32 && octet != 127)
            for place in 0..<count {
                var octets = [UInt8](repeating: filler, count: count)
                octets[place] = octet
                let found = octets.withUnsafeBytes { Octets.firstInvalid($0, 0..<count) }
                if found != (isValid ? nil : place) { wrong.append("\(octet) at \(place): \(found ?? -1)") }
                let before = octets.withUnsafeBytes { Octets.firstInvalid($0, 0..<place) }
                if before != nil { wrong.append("\(octet) at \(place) is behind the range") }
            }
        }
        #expect(wrong.isEmpty)
    }
}
