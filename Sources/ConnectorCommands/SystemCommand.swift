package import ArgumentParser
internal import ConfigurationEditing
internal import ConnectorProcess
internal import TextFormats

/// `connectord system`: what is exposed, changed in the file that says it.
package struct SystemCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "system",
        abstract: "Show, add, change and remove system mappings in the connector's file.",
        discussion: """
            Only the lines that must are touched; comments and order stay, the file before is kept (`connectord config \
            history`), and a running connector takes the change at once. Exit status: 0 if it is done, 64 if the connector's \
            files could not be used with it and were left alone, 2 if the file is changed but the running connector keeps \
            what it had, 1 for anything else.
            """,
        subcommands: [ListSystems.self, AddSystem.self, ChangeSystem.self, RemoveSystem.self],
        defaultSubcommand: ListSystems.self
    )
}

/// Keys of a system mapping that both `add` and `change` take, named as in the file.
struct SystemKeys: ParsableArguments {
    @Option(help: "abapSys, netweaverCE, … (docs/configuration.md).")
    var backEndType: String?

    @Option(help: "What the Host field says: virtual or internal.")
    var hostInHeader: String?

    @Option(help: "X-Forwarded-* and Forwarded of programs: drop or pass.")
    var forwardedHeaders: String?

    @Option(help: "How long the head of a response may take, such as 2m.")
    var responseTimeout: String?

    @Option(help: "The resources that a known product needs.")
    var resourcePreset: String?

    @Option(help: "For people.")
    var description: String?

    var entries: [YAMLValue.Entry] {
        [
            ("back-end-type", backEndType), ("host-in-header", hostInHeader), ("forwarded-headers", forwardedHeaders),
            ("response-timeout", responseTimeout), ("description", description), ("resource-preset", resourcePreset),
        ].compactMap { key, value in value.map { YAMLValue.Entry(key, .text($0)) } }
    }
}

struct ListSystems: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the system mappings of the file."
    )

    @OptionGroup var file: FileOptions

    func run() throws {
        try file.reading { store in
            let systems = try store.value["systems"]?.items ?? []
            if systems.isEmpty { return print("no systems") }
            for system in systems {
                let kind = (system["protocol"]?.scalar ?? "").uppercased()
                let resources = Count.text(system["resources"]?.items.count ?? 0, "resource")
                let exposed = kind.hasPrefix("TCP") ? "all of it" : resources
                let texts = [
                    system["virtual-host"], system["internal-host"], system["protocol"], system["description"],
                ]
                .map { LogText.escaped(($0?.scalar ?? "").utf8) }
                let description = texts[3].isEmpty ? "" : "   \(texts[3])"
                print("\(texts[0]) -> \(texts[1])   \(texts[2])   \(exposed)\(description)")
            }
        }
    }
}

struct AddSystem: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Expose one more system.")

    @Argument(help: "host:port by which cloud programs call it.")
    var virtualHost: String

    @Argument(help: "host:port where it is.")
    var internalHost: String

    @Option(help: "HTTP, HTTPS, TCP or TCPS.")
    var `protocol` = "HTTP"

    @Option(help: "A path that is exposed, and nothing below it. May be given more than once.")
    var pathOnly: [String] = []

    @Option(help: "A path that is exposed with all that is below it. May be given more than once.")
    var pathAndSubPaths: [String] = []

    @OptionGroup var keys: SystemKeys
    @OptionGroup var options: ChangeOptions

    private var entries: [YAMLValue.Entry] {
        var entries: [YAMLValue.Entry] = [
            .init("virtual-host", .text(virtualHost)), .init("internal-host", .text(internalHost)),
            .init("protocol", .text(`protocol`)),
        ]
        entries += keys.entries
        let resources = pathOnly.map { ($0, "path-only") } + pathAndSubPaths.map { ($0, "path-and-sub-paths") }
        if !resources.isEmpty {
            let items = resources.map { YAMLValue.mapping([.init("path", .text($0)), .init("access", .text($1))]) }
            entries.append(.init("resources", .list(items)))
        }
        return entries
    }

    func run() async throws {
        let command = AdministrationCommand.addSystem(entries)
        try await options.change("system add") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

struct ChangeSystem: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "change", abstract: "Change keys of a system mapping.")

    @Argument(help: "The system's virtual host, as the file has it.")
    var system: String

    @Option(help: "host:port by which cloud programs call it from now on.")
    var virtualHost: String?

    @Option(help: "host:port where it is.")
    var internalHost: String?

    @Option(help: "HTTP, HTTPS, TCP or TCPS.")
    var `protocol`: String?

    @Option(help: "A key that is to go, so that its default counts. May be given more than once.")
    var unset: [String] = []

    @OptionGroup var keys: SystemKeys
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try Unset.check(
            unset,
            of: [
                "back-end-type", "host-in-header", "forwarded-headers", "response-timeout", "description",
                "resource-preset", "created",
            ],
            besides: keys.entries.map(\.key)
        )
        if keys.entries.isEmpty, unset.isEmpty, [virtualHost, internalHost, `protocol`].allSatisfy({ $0 == nil }) {
            throw ValidationError("say what is to change, such as --internal-host HOST:PORT")
        }
    }

    func run() async throws {
        let places = [("virtual-host", virtualHost), ("internal-host", internalHost), ("protocol", `protocol`)]
            .compactMap { key, value in value.map { YAMLValue.Entry(key, .text($0)) } }
        let changes =
            (places + keys.entries).map { AdministrationCommand.Change($0.key, $0.value) }
            + unset.map { AdministrationCommand.Change($0, nil) }
        let command = AdministrationCommand.changeSystem(system, changes)
        try await options.change("system change") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

struct RemoveSystem: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Expose a system no more. Comments above its lines stay in the file."
    )

    @Argument(help: "The system's virtual host, as the file has it.")
    var system: String

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let command = AdministrationCommand.removeSystem(system)
        try await options.change("system remove") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

/// Keys that are to go.
enum Unset {
    /// - Throws: where a key cannot go, or is set by the same command.
    static func check(_ unset: [String], of known: [String], besides set: [String]) throws {
        for key in unset {
            guard known.contains(key) else {
                let nearest =
                    NearestName.find(key, among: known).map { "; did you mean \($0)?" }
                    ?? "; it can be \(known.joined(separator: ", "))"
                throw ValidationError("--unset \(LogText.escaped(key.utf8)) names no key that can go\(nearest)")
            }
            if set.contains(key) { throw ValidationError("--unset \(key) and --\(key) contradict each other") }
        }
    }
}
