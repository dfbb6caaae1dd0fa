internal import ArgumentParser
internal import CloudProcess
internal import ConnectorCommands

/// `connectord store`: the database that several services share.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Look at, or prepare, the database that several services share.",
        discussion: "It is named by store.url in cloud.conf (docs/scaling.md).",
        subcommands: [Check.self, Migrate.self]
    )

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether it can be reached, and has the tables that this program needs.",
            discussion: "Exit status: 2 if the tables are missing or too old, 1 if it cannot be reached."
        )

        @Option(help: "The configuration file of the cloud side.")
        var config = DefaultFile.cloud

        func run() async throws {
            try await CommandSupport.attempt {
                let found = try StoreProgram.check(config, warn: CommandSupport.report)
                print("\(found.address): version \(found.version) of the tables, this program needs \(found.needed)")
                if !found.isGood { throw ExitCode(2) }
            }
        }
    }

    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the tables that are missing.",
            discussion: """
                Forward only, all or nothing, and programs of before go on beside it. The user in store.url needs the right to create \
                tables for this command, and for nothing else.
                """
        )

        @Option(help: "The configuration file of the cloud side.")
        var config = DefaultFile.cloud

        func run() async throws {
            try await CommandSupport.attempt {
                let before = try StoreProgram.migrate(config, warn: CommandSupport.report)
                print(
                    before.isGood
                        ? "\(before.address): nothing to do, it has version \(before.version)"
                        : "\(before.address): from version \(before.version) to \(before.needed)"
                )
            }
        }
    }
}
