internal import AdminAccess

/// Which roles may do what with the configuration API (SAP Help, "Configuration REST APIs", each page's "Roles").
enum APIPermissions {
    /// Everybody may read.
    ///
    /// - Parameter path: below the API's root, in pieces.
    static func check(_ call: APICall, _ path: [String]) throws(APIFailure) {
        guard call.method != "GET" else { return }
        let roles = writers(path)
        guard !roles.contains(call.caller.role) else { return }
        let titles = AdminRole.allCases.filter { roles.contains($0) }.map(\.title).joined(separator: ", ")
        throw .forbidden("this needs the role \(titles), and yours is \(call.caller.role.title)")
    }

    static func writers(_ path: [String]) -> Set<AdminRole> {
        guard path.first == "configuration" else { return [.administrator] }
        guard path.dropFirst().first == "connector" else {
            // Of subaccounts, and what is below them; backups.
            return path.dropFirst().first == "subaccounts"
                ? [.administrator, .associateAdministrator, .subaccountAdministrator] : [.administrator]
        }
        switch path.dropFirst(2).first {
        case nil, "ui", "onPremise", "onPremises", "email":
            if path.last == "ppSettings" {
                return [.administrator, .associateAdministrator, .subaccountAdministrator]
            }
            if path.dropFirst(3).first == "cipherSuites" { return [.administrator] }
            return [.administrator, .associateAdministrator]
        case "logAndTrace", "solutionManagement": return [.administrator, .support]
        // Each one's own password; the endpoint looks at what else is wanted.
        case "authentication" where path.last == "basic": return Set(AdminRole.allCases)
        default: return [.administrator]
        }
    }
}
