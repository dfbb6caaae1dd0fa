import NIOCore
import Networking
import Testing

@testable import CloudConnector

@Suite struct ServiceChoiceTests {
    private static func addresses(_ count: Int) throws -> [SocketAddress] {
        try (0..<count).map { try SocketAddress(ipAddress: "10.0.\($0 / 250).\($0 % 250)", port: 443) }
    }

    @Test func `All get tunnels where they are few`() throws {
        let all = try Self.addresses(16)
        #expect(ServiceChoice.choose(all, limit: 16, seed: "a") == all)
    }

    @Test func `Of many, connectors choose evenly, each the same ones whatever their order`() throws {
        let all = try Self.addresses(40)
        var counts: [String: Int] = [:]
        for number in 0..<1000 {
            let chosen = ServiceChoice.choose(all, limit: 4, seed: "connector \(number)")
            #expect(Set(chosen.map(\.text)).count == 4)
            #expect(ServiceChoice.choose(all.reversed(), limit: 4, seed: "connector \(number)") == chosen)
            for address in chosen { counts[address.text, default: 0] += 1 }
        }
        // 100 is the mean, 9.5 the deviation.
        #expect(counts.count == 40 && counts.values.allSatisfy { (50...150).contains($0) }, "\(counts.values.sorted())")
    }

    @Test func `One that goes is replaced, and the others stay`() throws {
        let all = try Self.addresses(40)
        for number in 0..<100 {
            let before = ServiceChoice.choose(all, limit: 4, seed: "\(number)")
            let after = ServiceChoice.choose(all.filter { $0 != before[1] }, limit: 4, seed: "\(number)")
            #expect(Set(before.map(\.text)).intersection(after.map(\.text)).count == 3)
        }
    }
}
