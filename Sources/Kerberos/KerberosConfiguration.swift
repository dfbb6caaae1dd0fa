/// Who the connector is to a Kerberos realm, and where its KDCs are.
///
/// Source: SAP Cloud Connector, "Configure Kerberos".
package struct KerberosConfiguration: Sendable, Equatable {
    /// In capitals, as a rule.
    package let realm: String
    /// "host" or "host:port"; none for those that DNS knows.
    package let kdcHosts: [String]
    /// The connector's own user, which may delegate; without its realm.
    package let userName: String
    /// A file with its keys.
    package let keytab: String
    /// Of the keytab, so that a reload notices its change.
    package let digest: [UInt8]

    package init(realm: String, kdcHosts: [String], userName: String, keytab: String, digest: [UInt8] = []) {
        (self.realm, self.kdcHosts, self.userName, self.keytab) = (realm, kdcHosts, userName, keytab)
        self.digest = digest
    }

    /// Whether a text can be the name of a realm.
    package static func isRealm(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/:@{}*#;\"\\".utf8.contains($0) }
    }

    /// Looks whether the keytab has keys of the user; nobody is asked.
    ///
    /// - Throws: with what Kerberos says of it.
    package func checkKeytab() throws(KerberosError) {
        _ = KerberosProfile.shared
        _ = try GSSCredential(accepting: KerberosName.text(userName, realm: realm), keytab: keytab)
    }
}

/// Why there is no ticket.
package struct KerberosError: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// No KDC answers.
        case unreachable
        /// The KDC knows no such user.
        case unknownUser
        /// The KDC knows no such service.
        case unknownService
        /// The connector's user may not do this for others.
        case notDelegated
        /// Of the connector's own name or keys.
        case ownCredential
        case other
    }

    package let kind: Kind
    package let cause: String

    package init(_ kind: Kind, _ cause: String) { (self.kind, self.cause) = (kind, cause) }
}
