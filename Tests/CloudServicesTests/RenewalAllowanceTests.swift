import Cryptography
import Testing

@testable import CloudServices

struct RenewalAllowanceTests {
    @Test("A connector has so many certificates an hour, whatever the clock does")
    func renewals() {
        var allowance = RenewalAllowance()
        let identity = ConnectorIdentity(subaccount: "a", locationID: "")
        let taken = (0..<100).count { _ in allowance.take(identity, now: 10_000) }
        #expect(taken == RenewalAllowance.perHour)
        let isOther = allowance.take(ConnectorIdentity(subaccount: "b", locationID: ""), now: 10_000)
        #expect(isOther)
        let later = [13_599, 13_600, 5].map { allowance.take(identity, now: $0) }
        #expect(later == [false, true, true])
    }
}
