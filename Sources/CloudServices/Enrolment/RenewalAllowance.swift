package import Cryptography

/// How often a connector may have a new certificate: each is a signature and a file.
package struct RenewalAllowance: Sendable {
    /// Certificates of one connector within an hour. A connector asks at two thirds of a certificate's life, and once an hour
    /// where it is refused.
    package static let perHour = 30

    private var hours: [ConnectorIdentity: (start: Int, count: Int)] = [:]
    private var lastCleanUp = 0

    package init() {}

    /// - Parameter now: seconds since 1970.
    package mutating func take(_ identity: ConnectorIdentity, now: Int) -> Bool {
        var hour = hours[identity] ?? (now, 0)
        // A clock that went back begins anew.
        if now < hour.start || now - hour.start >= 3600 { hour = (now, 0) }
        guard hour.count < Self.perHour else { return false }
        hour.count += 1
        hours[identity] = hour
        return true
    }

    /// - Returns: whether an hour has passed since this was last true.
    mutating func mayCleanUp(now: Int) -> Bool {
        guard now < lastCleanUp || now - lastCleanUp >= 3600 else { return false }
        lastCleanUp = now
        hours = hours.filter { now >= $0.value.start && now - $0.value.start < 3600 }
        return true
    }
}
