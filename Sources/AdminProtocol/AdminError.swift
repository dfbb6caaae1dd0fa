/// What went wrong with the admin socket, on either end.
package struct AdminError: Error, CustomStringConvertible {
    package var description: String
    /// Nobody answers there.
    package var isUnreachable = false
    package init(_ description: String) { self.description = description }
}

/// The body of an answer that says no.
package struct AdminErrorBody: Codable, Sendable {
    package var error: String

    package init(error: String) {
        self.error = error
    }
}
