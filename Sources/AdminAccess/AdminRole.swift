/// What somebody may do on a connector. The names are those of SAP's product (SAP Help, "Configuration REST APIs").
package enum AdminRole: String, Sendable, CaseIterable, Codable {
    /// Everything.
    case administrator
    /// Everything but users, audit log, alerting, backups.
    case associateAdministrator = "associate-administrator"
    /// Subaccounts, and what they expose.
    case subaccountAdministrator = "subaccount-administrator"
    /// Reads everything, and sets the level of logs.
    case support
    /// Reads everything.
    case display
    /// Reads figures only.
    case monitoring

    /// As people read it.
    package var title: String {
        rawValue.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined(separator: " ")
    }
}

/// Who asks for something.
package struct AdminCaller: Sendable, Equatable {
    package var name: String
    package var role: AdminRole
    /// From where; empty on the admin socket.
    package var address: String

    package init(name: String, role: AdminRole, address: String) {
        (self.name, self.role, self.address) = (name, role, address)
    }

    /// For the log and the audit log.
    package var description: String { address.isEmpty ? name : "\(name) from \(address)" }
}
