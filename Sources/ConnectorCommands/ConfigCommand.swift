package import ArgumentParser
internal import ConnectorProcess
internal import HostSystem

/// `connectord config`: what the connector's file said before.
package struct ConfigCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show and bring back earlier versions of the connector's file, or take another connector's.",
        discussion: """
            Each change by a command keeps what the file said before in the folder `history` beside it, the last \
            \(FileHistory.limit) of them.
            """,
        subcommands: [ConfigHistory.self, ConfigDifference.self, ConfigRestore.self, ConfigPull.self]
    )
}

struct ConfigHistory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List the earlier versions, the latest first."
    )

    @OptionGroup var file: FileOptions

    func run() throws {
        try file.reading { store in
            let versions = store.versions
            if versions.isEmpty { return print("no earlier versions") }
            for (index, path) in versions.enumerated() { print("\(index + 1)   \(path)") }
        }
    }
}

struct ConfigDifference: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show what has changed since an earlier version: - for lines that went, + for those that came."
    )

    @Argument(help: "Its number, as `history` has it.")
    var version = 1

    @OptionGroup var file: FileOptions

    func run() throws {
        try file.reading { store in
            let difference = try store.difference(to: version)
            if difference.isEmpty { return print("no difference") }
            for line in difference { print(line) }
        }
    }
}

struct ConfigRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Set the file back to an earlier version, and have a running connector take it.",
        discussion:
            "What the file says now becomes the latest of the earlier versions. Exit status: as of `connectord system`."
    )

    @Argument(help: "Its number, as `history` has it.")
    var version = 1

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        try await options.change("config restore") { try $0.restore(version, isRehearsed: options.dryRun) }
    }
}
