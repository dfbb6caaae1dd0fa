internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import HostSystem
internal import TextFormats

/// `connectord po-system`
struct ProcessOrchestrationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "po-system",
        abstract: "SAP Process Orchestration systems, as destinations of the running cloud side.",
        subcommands: [Add.self, List.self, Test.self],
        defaultSubcommand: List.self
    )

    struct Options: ParsableArguments {
        @Option(help: "Of this subaccount; the service's own unless given.")
        var subaccount: String?

        @OptionGroup var service: ServiceOptions
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add",
            abstract: "Make PO_NAME_DIR and, for an ES Repository of its own, PO_NAME_ESR.",
            discussion: "Passwords are read from files, or from standard input where a file is -, one in each line."
        )
        @Argument(help: "Letters, digits, underscores and hyphens.") var name: String
        @Option(help: "The Integration Directory's virtual address, such as http://pohost:50000.") var address: String
        @Option(help: "Its technical user.") var user: String
        @Option(help: "A file with the password, or - for standard input.") var passwordFile: String
        @Option(help: "Of the Cloud Connector that exposes it.") var locationID = ""
        @Option(help: "The ES Repository's virtual address, where it is another one.") var esrAddress: String?
        @Option(help: "Its technical user, where it is another one.") var esrUser: String?
        @Option(help: "A file with its password.") var esrPasswordFile: String?
        @Option(help: "Its location ID, where it is another one.") var esrLocationID: String?
        @Flag(help: "Replace destinations that exist.") var replace = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let request = ProcessOrchestrationMessage.Request(
                    subaccount: options.subaccount,
                    name: name,
                    address: address,
                    user: user,
                    password: try CommandSupport.secret(passwordFile),
                    locationID: locationID,
                    repositoryAddress: esrAddress,
                    repositoryUser: esrUser,
                    repositoryPassword: try esrPasswordFile.map(CommandSupport.secret),
                    repositoryLocationID: esrLocationID,
                    replaces: replace
                )
                for name in try await client.post("/po-systems/add", request).decode([String].self) { print(name) }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List PO systems, whoever made their destinations."
        )
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let request = ProcessOrchestrationMessage.Request(subaccount: options.subaccount)
                let systems = try await client.post("/po-systems/list", request)
                    .decode([ProcessOrchestrationMessage.Summary].self)
                for system in systems {
                    if let problem = system.problem { CommandSupport.printError("\(system.name): \(problem)") }
                }
                let rows = systems.map {
                    [$0.name, "\($0.directory) \($0.directoryURL)", "\($0.repository) \($0.repositoryURL)"]
                }
                print(TextTable.lines(["NAME", "INTEGRATION DIRECTORY", "ES REPOSITORY"], rows), terminator: "")
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test",
            abstract: "Test Connection: the two requests of SAP Integration Suite, each failure explained.",
            discussion: "Exit status: 0 when both answer 200, 2 when not, 1 for anything else."
        )
        @Argument var name: String
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let request = ProcessOrchestrationMessage.Request(subaccount: options.subaccount, name: name)
                let checks = try await client.post("/po-systems/test", request)
                    .decode([ProcessOrchestrationMessage.Check].self)
                for check in checks {
                    let status = check.status == 0 ? "no answer" : String(check.status)
                    print("\(check.isGood ? "ok" : "FAILED")  HEAD \(check.url)  \(status): \(check.explanation)")
                }
                if checks.contains(where: { !$0.isGood }) { throw ExitCode(2) }
            }
        }
    }
}
