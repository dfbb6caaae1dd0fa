internal import AdminProtocol
package import ArgumentParser
internal import DaemonSupport
internal import TextFormats

/// `connectord admin`
package struct AdministratorsCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Say who may use a running connector's page and API.",
        discussion: """
            Nobody can log in at first, and there is no password to begin with: `connectord admin password` prints a code with which \
            the first administrator sets one on the page. The same helps whoever has forgotten a password.
            """,
        subcommands: [SetPassword.self, ListUsers.self, AddUser.self, RemoveUser.self]
    )
}

private enum Users {
    /// Prints a code, and where it is used.
    static func show(_ code: AdminMessage.PasswordCode, for user: String) {
        print(code.code)
        let minutes = Count.text(code.life / 60, "minute")
        let place = code.address.map { "at \($0)" } ?? "on the page, which is not served now (admin.listen)"
        CommandSupport.printError(
            "Log in \(place) as \(LogText.escaped(user.utf8)) with this code as the password, within \(minutes); then set a password."
        )
    }
}

/// `connectord admin password`
struct SetPassword: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password",
        abstract: "Print a one-time code with which a user sets a password.",
        discussion: "Where there are no users yet, the one named becomes the first administrator."
    )

    @Argument(help: "The user's name.")
    var user = "Administrator"

    @OptionGroup var options: ConnectorOptions

    func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            let message = AdminMessage.User(name: user, by: ChangeOptions.person)
            let code = try await client.post("/users/code", message).decode(AdminMessage.PasswordCode.self)
            Users.show(code, for: user)
        }
    }
}

/// `connectord admin list`
struct ListUsers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Show who may log in, and as what.")

    @OptionGroup var options: ConnectorOptions

    func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            let users = try await client.get("/users").decode(AdminMessage.Users.self).users
            if users.isEmpty { print("nobody yet; connectord admin password makes the first administrator") }
            for user in users {
                let note = user.hasPassword == true ? "" : ", no password yet"
                print("\(LogText.escaped(user.name.utf8)): \(user.role ?? "")\(note)")
            }
        }
    }
}

/// `connectord admin add`
struct AddUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Let one more person or program in, and print the code for the password."
    )

    @Argument(help: "The user's name.")
    var user: String

    @Option(
        help: """
            administrator, associate-administrator, subaccount-administrator, support, display or monitoring.
            """
    )
    var role: String

    @OptionGroup var options: ConnectorOptions

    func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            let message = AdminMessage.User(name: user, role: role, by: ChangeOptions.person)
            let code = try await client.post("/users/add", message).decode(AdminMessage.PasswordCode.self)
            Users.show(code, for: user)
        }
    }
}

/// `connectord admin remove`
struct RemoveUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Let a user in no more. Sessions end at once."
    )

    @Argument(help: "The user's name.")
    var user: String

    @OptionGroup var options: ConnectorOptions

    func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            let message = AdminMessage.User(name: user, by: ChangeOptions.person)
            _ = try await client.post("/users/remove", message).decode(AdminMessage.Empty.self)
            print("removed")
        }
    }
}
