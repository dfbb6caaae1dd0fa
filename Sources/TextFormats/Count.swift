/// Numbers of things, for people.
package enum Count {
    /// "1 tunnel", "2 tunnels".
    package static func text(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
