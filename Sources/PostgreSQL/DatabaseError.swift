/// What PostgreSQL, or the way to it, has against something.
package struct DatabaseError: Error, Sendable, CustomStringConvertible {
    /// The connection is gone or never was: it may be there again soon.
    package let isAway: Bool
    /// Five characters ("PostgreSQL Error Codes"); empty where the server has not answered.
    package let state: String
    package let description: String

    package init(isAway: Bool, state: String = "", _ description: String) {
        (self.isAway, self.state, self.description) = (isAway, state, description)
    }
}
