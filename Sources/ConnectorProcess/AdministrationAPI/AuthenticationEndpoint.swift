internal import AdminAccess
internal import Networking
internal import Telemetry
internal import TextFormats

/// `authentication`: the caller's own name and password (SAP Help, "Authentication and UI Settings").
struct AuthenticationEndpoint {
    let call: APICall

    /// - Parameter rest: of the path, behind `authentication`.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        switch rest {
        case []:
            try call.allow("GET")
            return .json(["type": "basic"])
        case ["basic"]:
            try call.allow("PUT")
            try await change()
            return .empty
        default: throw APIFailure.unsupported(["connector", "authentication"] + rest)
        }
    }

    private func change() async throws {
        guard !call.caller.address.isEmpty, let administration = call.host.administration else {
            throw APIFailure.invalid("whose password? Log in, or use connectord admin password")
        }
        var body = try APIBody(call.request)
        let (old, new) = (try body.text("oldPassword"), try body.text("newPassword"))
        let (user, password) = (try body.text("user"), try body.text("password"))
        try body.finish()
        switch (old, new, user, password) {
        case (let old?, let new?, nil, nil): try await setPassword(old, new, administration)
        case (nil, nil, let user?, let password?): try await rename(user, password, administration)
        default:
            throw APIFailure.invalid(
                "the body must have oldPassword and newPassword, or user and password; not one of either, and not both"
            )
        }
    }

    private func setPassword(_ old: String, _ new: String, _ administration: Administration) async throws {
        guard await administration.confirm(call.caller.name, old, call.request) != nil else {
            throw APIFailure.invalid("the old password is wrong")
        }
        guard old != new else { throw APIFailure.invalid("the new password is the old one") }
        let name = call.caller.name
        try await administration.work { [users = administration.users] in try users.setPassword(new, of: name) }
        administration.endSessions(of: call.caller.name)
        record("set a new password")
    }

    private func rename(_ user: String, _ password: String, _ administration: Administration) async throws {
        guard case .user = await administration.confirm(call.caller.name, password, call.request) else {
            throw APIFailure.invalid("the password is wrong")
        }
        guard call.caller.role == .administrator else {
            throw APIFailure.forbidden("only an Administrator changes names")
        }
        try administration.users.rename(call.caller.name, to: user)
        administration.endSessions(of: call.caller.name)
        record("is called \(LogText.escaped(user.utf8)) now")
    }

    private func record(_ what: String) {
        call.host.audit.record(
            .userChanged,
            "User \(LogText.escaped(call.caller.name.utf8)) \(what) [from \(call.caller.address)]"
        )
    }
}
