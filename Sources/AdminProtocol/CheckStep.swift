/// One step of a look at an internal host.
package struct CheckStep: Codable, Sendable, Equatable {
    /// "name", "TCP", "TLS" or "HTTP".
    package var name: String
    package var isGood: Bool
    package var milliseconds: Double
    /// What was found, or what is wrong and what to do about it.
    package var text: String

    package init(_ name: String, isGood: Bool, _ milliseconds: Double, _ text: String) {
        (self.name, self.isGood, self.milliseconds, self.text) = (name, isGood, milliseconds, text)
    }
}
