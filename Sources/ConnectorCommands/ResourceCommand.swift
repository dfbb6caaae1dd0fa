package import ArgumentParser
internal import ConfigurationEditing
internal import ConnectorProcess
internal import TextFormats

/// `connectord resource`: which paths of a system are exposed, changed in the file that says it.
package struct ResourceCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "resource",
        abstract: "Show, add, change and remove the resources of a system in the connector's file.",
        discussion: "As `connectord system` does with systems; the exit status is the same.",
        subcommands: [ListResources.self, AddResource.self, ChangeResource.self, RemoveResource.self]
    )
}

struct ListResources: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Show the resources of a system.")

    @Argument(help: "The system's virtual host, as the file has it.")
    var system: String

    @OptionGroup var file: FileOptions

    func run() throws {
        try file.reading { store in
            let resources = try AdministrationCommand.resources(of: system, in: store.text())
            if resources.isEmpty { return print("no resources") }
            for resource in resources {
                let isActive = resource.flag("active", true)
                let texts = [resource["path"], resource["access"], resource["description"]].map {
                    LogText.escaped(($0?.scalar ?? "").utf8)
                }
                let notes = (isActive ? "" : "   suspended") + (texts[2].isEmpty ? "" : "   \(texts[2])")
                print("\(texts[0])   \(texts[1])\(notes)")
            }
        }
    }
}

/// Which resource is meant.
struct ResourcePlace: ParsableArguments {
    @Argument(help: "The system's virtual host, as the file has it.")
    var system: String

    @Argument(help: "The resource's path.")
    var path: String
}

/// Keys of a resource, named as in the file.
struct ResourceKeys: ParsableArguments {
    @Option(help: "Whether it counts, true or false; false suspends it.")
    var active: Bool?

    @Option(help: "Whether a sub-path begins with a \"/\" only: true or false.")
    var segmentMatch: Bool?

    @Option(help: "Whether protocol upgrades are admitted: true or false.")
    var upgradeAllowed: Bool?

    @Option(help: "For people.")
    var description: String?

    var entries: [YAMLValue.Entry] {
        [
            upgradeAllowed.map { YAMLValue.Entry("upgrade-allowed", .word("\($0)")) },
            active.map { YAMLValue.Entry("active", .word("\($0)")) },
            segmentMatch.map { YAMLValue.Entry("segment-match", .word("\($0)")) },
            description.map { YAMLValue.Entry("description", .text($0)) },
        ].compactMap(\.self)
    }
}

struct AddResource: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Expose one more path of a system.")

    @OptionGroup var place: ResourcePlace

    @Option(help: "path-only, or path-and-sub-paths.")
    var access = "path-only"

    @OptionGroup var keys: ResourceKeys
    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let entries: [YAMLValue.Entry] =
            [.init("path", .text(place.path)), .init("access", .text(access))] + keys.entries
        let command = AdministrationCommand.addResource(system: place.system, entries)
        try await options.change("resource add") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

struct ChangeResource: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "change", abstract: "Change keys of a resource.")

    @OptionGroup var place: ResourcePlace

    @Option(help: "Which of two resources with this path is meant: its access until now.")
    var of: String?

    @Option(help: "path-only, or path-and-sub-paths, from now on.")
    var access: String?

    @Option(help: "Its path from now on.")
    var newPath: String?

    @Option(help: "A key that is to go, so that its default counts. May be given more than once.")
    var unset: [String] = []

    @OptionGroup var keys: ResourceKeys
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try Unset.check(
            unset,
            of: ["active", "segment-match", "upgrade-allowed", "description", "created"],
            besides: keys.entries.map(\.key)
        )
        if keys.entries.isEmpty, unset.isEmpty, access == nil, newPath == nil {
            throw ValidationError("say what is to change, such as --active false")
        }
    }

    func run() async throws {
        let changes = [("path", newPath), ("access", access)].compactMap { key, value in
            value.map { AdministrationCommand.Change(key, .text($0)) }
        }
        let command = AdministrationCommand.changeResource(
            system: place.system,
            .init(place.path, access: of),
            changes + keys.entries.map { .init($0.key, $0.value) } + unset.map { .init($0, nil) }
        )
        try await options.change("resource change") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}

struct RemoveResource: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Expose a path no more. Comments above its lines stay in the file."
    )

    @OptionGroup var place: ResourcePlace

    @Option(help: "Which of two resources with this path is meant.")
    var access: String?

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let command = AdministrationCommand.removeResource(system: place.system, .init(place.path, access: access))
        try await options.change("resource remove") { try $0.change(isRehearsed: options.dryRun, command.apply) }
    }
}
