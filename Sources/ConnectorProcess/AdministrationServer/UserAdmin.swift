internal import AdminAccess
internal import AdminProtocol
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Telemetry
internal import TextFormats

/// What `connectord admin` asks on the admin socket: who may use the page and the API.
struct UserAdmin {
    let administration: Administration
    let audit: AuditLog

    private var users: AdminUsers { administration.users }

    func list() -> HTTPResponse {
        .json(
            AdminMessage.Users(
                users: users.all.map {
                    AdminMessage.User(name: $0.name, role: $0.role.rawValue, hasPassword: $0.hasPassword)
                }
            )
        )
    }

    func add(_ body: [UInt8]) -> HTTPResponse {
        attempt(body) { message in
            guard let role = message.role.flatMap({ AdminRole(rawValue: $0) }) else {
                let roles = AdminRole.allCases.map(\.rawValue).joined(separator: ", ")
                throw AdminUsers.UserError.invalid("the role must be one of \(roles)")
            }
            try users.add(message.name, role)
            record("added as \(role.title)", message)
            return try code(message)
        }
    }

    func remove(_ body: [UInt8]) -> HTTPResponse {
        attempt(body) { message in
            try users.remove(message.name)
            administration.endSessions(of: message.name)
            record("removed", message)
            return .json(AdminMessage.Empty())
        }
    }

    /// The first one makes the first administrator.
    func code(_ body: [UInt8]) -> HTTPResponse {
        attempt(body) { message in
            if users.all.isEmpty {
                try users.add(message.name, .administrator)
                record("added as Administrator", message)
            }
            return try code(message)
        }
    }

    private func code(_ message: AdminMessage.User) throws -> HTTPResponse {
        let code = try users.makeCode(for: message.name)
        record("may set a password with a code", message)
        let address = administration.settings.listen.map { "https://\($0)" }
        let life = Int(AdminUsers.codeLife.components.seconds)
        return .json(AdminMessage.PasswordCode(code: code, life: life, address: address))
    }

    private func record(_ what: String, _ message: AdminMessage.User) {
        let by = LogText.escaped((message.by ?? "admin socket").utf8.prefix(200))
        audit.record(.userChanged, "User \(LogText.escaped(message.name.utf8)) \(what) [by \(by)]")
    }

    private func attempt(_ body: [UInt8], _ work: (AdminMessage.User) throws -> HTTPResponse) -> HTTPResponse {
        guard let message = try? JSONLines.decode(AdminMessage.User.self, body) else {
            return .error(.badRequest, "the body must name a user")
        }
        do {
            return try work(message)
        } catch {
            return .error(.conflict, "\(error)")
        }
    }
}
