/// Whether the store that several instances share is there.
package struct StoreStatus: Codable, Sendable {
    /// Without a password.
    package var address: String
    package var isUp: Bool
    /// Seconds since 1970.
    package var since: Int
    /// Why it is away.
    package var cause: String

    package init(address: String, isUp: Bool, since: Int, cause: String) {
        (self.address, self.isUp, self.since, self.cause) = (address, isUp, since, cause)
    }
}
