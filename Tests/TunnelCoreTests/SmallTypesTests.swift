import NIOCore
import Testing
internal import TextFormats

@testable import TunnelCore

struct KeepaliveTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private static func at(_ seconds: Double) -> NIODeadline { start + .nanoseconds(Int64(seconds * 1e9)) }

    @Test("A peer that is heard is pinged each interval to measure the way, and owes nothing", arguments: [0.0, 1.0])
    func heard(_ jitter: Double) {
        var keepalive = Keepalive(interval: .seconds(9), now: Self.start)
        var time = 0.0
        for _ in 0..<10 {
            time += 9 + 3 * jitter
            keepalive.received(Self.at(time - 1))
            #expect(keepalive.passed(Self.at(time), jitter: jitter) == .sendPing(next: .seconds(9 + 3 * Int64(jitter))))
        }
    }

    @Test("A silent peer is given up after two intervals, whenever it was heard last", arguments: [0.0, 0.5, 3, 8.9])
    func silent(_ last: Double) {
        var keepalive = Keepalive(interval: .seconds(10), now: Self.start)
        keepalive.received(Self.at(last))
        var time = 10.0
        while case .sendPing(let next) = keepalive.passed(Self.at(time), jitter: 1) {
            time += Double(next.nanoseconds) / 1e9
        }
        #expect(abs(time - last - 20) < 0.001, "\(time)")
    }

    @Test("Any sign of life starts the count again")
    func recovered() {
        var keepalive = Keepalive(interval: .seconds(10), now: Self.start)
        #expect(keepalive.passed(Self.at(10), jitter: 0) == .sendPing(next: .seconds(10)))
        keepalive.received(Self.at(19))
        #expect(keepalive.silence(Self.at(25)) == .seconds(6))
        #expect(keepalive.passed(Self.at(20), jitter: 0) == .sendPing(next: .seconds(10)))
        #expect(keepalive.passed(Self.at(30), jitter: 0) == .sendPing(next: .seconds(9)))
        #expect(keepalive.passed(Self.at(39), jitter: 0) == .declareDead)
    }

    @Test("A process that was stopped for minutes does not condemn a peer that it has not asked")
    func stopped() {
        var keepalive = Keepalive(interval: .seconds(10), now: Self.start)
        #expect(keepalive.passed(Self.at(10), jitter: 0) == .sendPing(next: .seconds(10)))
        #expect(keepalive.passed(Self.at(300), jitter: 0) == .sendPing(next: .seconds(10)))
        #expect(keepalive.passed(Self.at(310), jitter: 0) == .declareDead)
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

    @Test("Request IDs are fifteen digits and differ")
    func requestIDs() {
        var generator = RequestIDGenerator(prefix: 1)
        #expect(generator.next().description == "000000100000001")
        #expect(generator.next().description == "000000100000002")
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
            let bytes = Array(all[offset...])
            let expected = bytes.map { $0 >= 65 && $0 <= 90 ? $0 | 32 : $0 }
            var result = [UInt8](repeating: 0, count: bytes.count)
            bytes.withUnsafeBytes { source in
                result.withUnsafeMutableBytes { Bytes.copyLowercased(source, to: $0.baseAddress!) }
            }
            #expect(result == expected)
        }
    }

    @Test("Bytes that no field value may have are found at every place", arguments: [0x20, 0x61, 0x7E, 0x80, 0xFF])
    func invalidBytes(_ filler: UInt8) {
        let count = 75
        var wrong: [String] = []
        for byte in UInt8(0)...255 {
            let isValid = byte == 9 || (byte >= 32 && byte != 127)
            for place in 0..<count {
                var bytes = [UInt8](repeating: filler, count: count)
                bytes[place] = byte
                let found = bytes.withUnsafeBytes { Bytes.firstInvalid($0, 0..<count) }
                if found != (isValid ? nil : place) { wrong.append("\(byte) at \(place): \(found ?? -1)") }
                let before = bytes.withUnsafeBytes { Bytes.firstInvalid($0, 0..<place) }
                if before != nil { wrong.append("\(byte) at \(place) is behind the range") }
            }
        }
        #expect(wrong.isEmpty)
    }
}
