/// Names of files that nothing has yet: what a configuration names stays good until it names another.
package enum FreshFile {
    /// - Returns: `base`, a number, and `suffix`.
    package static func path(_ base: String, _ suffix: String = "") -> String {
        var number = 1
        while PlainFile.isThere("\(base).\(number)\(suffix)") { number += 1 }
        return "\(base).\(number)\(suffix)"
    }
}
