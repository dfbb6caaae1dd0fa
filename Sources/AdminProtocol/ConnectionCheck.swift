/// What "Check Connection" found.
package struct ConnectionCheck: Codable, Sendable, Equatable {
    package var destination: String
    /// Below 500 is good: the check says that the system is reached, not that it works.
    package var isGood: Bool
    /// One of SAP's texts.
    package var message: String
    /// What helps to repair it.
    package var detail: String?
    package var milliseconds: Double

    package init(destination: String, isGood: Bool, message: String, detail: String? = nil, milliseconds: Double) {
        self.destination = destination
        self.isGood = isGood
        self.message = message
        self.detail = detail
        self.milliseconds = milliseconds
    }
}
