/// What a program on the cloud side can be bound to; each kind of binding has a client and tokens of its own.
package enum BoundService: String, Codable, Sendable, CaseIterable {
    case connectivity, destination
    /// The program's own: for the tokens of its users.
    case xsuaa
}
