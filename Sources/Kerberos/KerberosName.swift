/// Names as Kerberos writes them (RFC 1964 section 2.1.1).
package enum KerberosName {
    /// - Parameter user: one component, whatever it contains: nobody becomes a service by a slash in a name.
    package static func text(_ user: String, realm: String) -> String { "\(escaped(user))@\(realm)" }

    /// A service; its slashes separate components.
    package static func service(_ name: String, realm: String) -> String {
        name.split(separator: "/", omittingEmptySubsequences: false).map { escaped(String($0)) }.joined(separator: "/")
            + "@\(realm)"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            if "/@\\".unicodeScalars.contains(character) { result.append("\\") }
            result.unicodeScalars.append(character)
        }
        return result
    }

    /// A user as a token's subject names it: in the realm given, unless the name has one of its own.
    ///
    /// - Returns: the name, and whether it is one that only the KDC can tell (RFC 6806 section 5), such as an address.
    package static func user(_ name: String, realm: String) -> (text: String, isEnterprise: Bool) {
        guard let at = name.lastIndex(of: "@") else { return (text(name, realm: realm), false) }
        let own = name[name.index(after: at)...]
        // Byte for byte: realms are told apart by case.
        guard own.utf8.elementsEqual(realm.utf8) else { return ("\(escaped(name))@\(realm)", true) }
        return (text(String(name[..<at]), realm: realm), false)
    }
}
