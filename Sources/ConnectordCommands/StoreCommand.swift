internal import ArgumentParser
internal import CloudProcess
internal import ConnectorCommands
internal import TextFormats

/// `connectord store`: the database that several services share.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Look at, or prepare, the database that several services share.",
        discussion: "It is named by store.url in cloud.conf (docs/scaling.md).",
        subcommands: [Check.self, Migrate.self, Copy.self]
    )

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether it can be reached, and has tables, rights and the key that this program needs.",
            discussion: """
                Exit status: 2 if tables or rights are missing, 1 if it cannot be reached, or was written with another key.
                """
        )

        @Option(help: "The configuration file of the cloud side.")
        var config = DefaultFile.cloud

        func run() async throws {
            try await CommandSupport.attempt {
                let found = try StoreProgram.check(config, warn: CommandSupport.report)
                let hint = found.isGood ? "" : ": run connectord store migrate"
                print(
                    "\(found.address): version \(found.version) of the tables, this program needs \(found.needed)\(hint)"
                )
                for right in found.missing {
                    print("its user may not \(right): connectord store migrate --url gives the right")
                }
                if !found.isGood || !found.missing.isEmpty { throw ExitCode(2) }
            }
        }
    }

    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take everything from the files of one service to the database, or back.",
            discussion: """
                Authority, certificates, revocations, unused tokens, keys and clients of tokens, destinations. What is there already \
                must be the same, or is left, and the command fails; destinations are replaced. Stop the services first.
                """
        )

        @Option(help: "The configuration file of the cloud side, with the store.")
        var config = DefaultFile.cloud

        @Option(help: "The folder that enrolment.authority names, or named.")
        var authority: String

        @Option(help: "The folder that api.directory names, or named.")
        var api: String?

        @Option(help: "The folder that api.destinations names, if it is not in that of --api.")
        var destinations: String?

        @Flag(help: "From the database to the files.")
        var back = false

        func run() async throws {
            try await CommandSupport.attempt {
                let copy = StoreCopy(
                    back ? .toFiles : .toDatabase,
                    authority: authority,
                    api: api,
                    destinations: destinations
                )
                let result = try copy.run(config, warn: CommandSupport.report)
                let ways = back ? "from \(result.address) to files" : "from files to \(result.address)"
                print(
                    "\(ways): the authority, \(Count.text(result.certificates, "certificate")), "
                        + "\(Count.text(result.tokens, "token")), \(Count.text(result.destinations, "configuration"))"
                        + (result.hasKeys ? ", keys and clients of tokens" : "")
                )
            }
        }
    }

    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the tables that are missing.",
            discussion: """
                Forward only, all or nothing, and programs of before go on beside it. It needs the right to create tables, which daily \
                use does not: with --url another user does it, and gives the user in store.url the rights of daily use.
                """
        )

        @Option(help: "The configuration file of the cloud side.")
        var config = DefaultFile.cloud

        @Option(help: "The database as the user who may make tables, as store.url names it.")
        var url: String?

        @Option(help: "A file with that user's password.")
        var passwordFile: String?

        func validate() throws {
            if passwordFile != nil, url == nil { throw ValidationError("--password-file is for --url") }
        }

        func run() async throws {
            try await CommandSupport.attempt {
                let owner = url.map { (url: $0, passwordFile: passwordFile) }
                let before = try StoreProgram.migrate(config, owner: owner, warn: CommandSupport.report)
                print(
                    before.isGood
                        ? "\(before.address): nothing to do, it has version \(before.version)"
                        : "\(before.address): from version \(before.version) to \(before.needed)"
                )
                if let user = before.granted { print("\(user) has the rights of daily use") }
            }
        }
    }
}
