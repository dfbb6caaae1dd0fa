import AdminProtocol
import Cryptography
import Testing
import TunnelCore

@testable import ConnectivityService

struct RefusedConnectionsTests {
    private let error = TLSError(.peerCertificateTime, "certificate has expired")

    @Test("The same refusal from the same address counts once more, whatever the port was")
    func same() {
        var connections = RefusedConnections()
        connections.record("tunnel refused", "10.0.0.1:1000", error, nil, now: 1)
        connections.record("tunnel refused", "[2001:db8::1]:1000", error, nil, now: 2)
        connections.record("tunnel refused", "10.0.0.1:1001", error, nil, now: 3)
        #expect(connections.recent.map(\.remote) == ["10.0.0.1", "[2001:db8::1]"])
        #expect(connections.recent.map(\.count) == [2, 1] && connections.recent[0].time == 3)
        let named = ConnectorIdentity(subaccount: "s", locationID: "l")
        connections.record("tunnel refused", "10.0.0.1:1002", error, named, now: 4)
        #expect(connections.recent[0].count == 1 && connections.recent[0].locationID == "l")
        #expect(connections.counts == ["certificate": 4])
    }

    @Test("There are never more than the limit; each is counted all the same")
    func limit() {
        var connections = RefusedConnections()
        for index in 0..<200 { connections.record("tunnel refused", "10.0.0.\(index):1", error, nil, now: index) }
        #expect(connections.recent.count == RefusedConnections.limit && connections.recent[0].remote == "10.0.0.199")
        #expect(connections.counts["certificate"] == 200)
    }

    @Test("A cause is one of few words, so that nobody fills the metrics")
    func kinds() {
        let errors: [any Error] = [
            TLSError(.notTLS, ""), TunnelError.revoked, TunnelError.flooded, EnrolmentError("x"),
            TLSError(.noPeerCertificate, ""), TunnelError.silent,
        ]
        let kinds = errors.map { RefusedConnections.kind($0) }
        #expect(kinds == ["tls", "certificate", "limit", "enrolment", "certificate", "silent"])
    }
}
