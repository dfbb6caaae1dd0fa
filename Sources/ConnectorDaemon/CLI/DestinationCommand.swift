internal import ArgumentParser
internal import ControlProtocol
internal import Destinations
internal import Glibc
internal import Telemetry
internal import TunnelCore

/// `connectord destination`
struct DestinationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destination",
        abstract: "Destinations of the running cloud side.",
        subcommands: [
            List.self, Show.self, Import.self, Export.self, Create.self, Delete.self, Check.self,
        ],
        defaultSubcommand: List.self
    )

    struct Options: ParsableArguments {
        @Option(help: "Of this subaccount; the service's own unless given.")
        var subaccount: String?

        @OptionGroup var service: ServiceOptions

        func wish(_ name: String = "") -> DestinationAdmin.Wish { .init(subaccount: subaccount, name: name) }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List destinations.")
        @OptionGroup var options: Options
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let list = try await client.post("/destinations/list", options.wish())
                    .decode(DestinationAdmin.List.self)
                for finding in list.findings { CommandSupport.printError(finding) }
                if json { return AdminCommand.printJSON(JSONLines.encode(list.destinations)) }
                let rows = list.destinations.map { item in
                    let location = item.locationID.isEmpty ? "" : " via \(item.locationID)"
                    return [item.name, item.type, item.proxyType + location, item.authentication, item.url]
                }
                print(TextTable.lines(["NAME", "TYPE", "PROXY TYPE", "AUTHENTICATION", "URL"], rows), terminator: "")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print a destination, without its secrets unless they are asked for."
        )
        @Argument var name: String
        @Option(help: "json, yaml or properties.") var format = FileFormat.properties
        @Flag(help: "With passwords and secrets.") var secrets = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let octets = try await DestinationCommand.text(client, options.wish(name), format, secrets)
                print(String(decoding: octets, as: UTF8.self), terminator: "")
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import",
            abstract: "Create destinations from files: JSON, YAML or .properties, as the cockpit exports them."
        )
        @Argument(help: "Files; a JSON file may hold an array.") var files: [String]
        @Flag(help: "Replace destinations that exist.") var replace = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                // All are read before the first is written.
                let all = try files.flatMap { try DestinationCommand.read($0) }
                for destination in all {
                    var wish = options.wish(destination.name)
                    (wish.properties, wish.replaces) = (destination.properties, replace)
                    let done = try await client.post("/destinations/import", wish)
                        .decode(DestinationAdmin.Properties.self)
                    print("\(destination.name) \(done.properties["result"] ?? "")")
                }
            }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export",
            abstract: "Write destinations to files, without their secrets unless they are asked for."
        )
        @Argument(help: "Names; none for all.") var names: [String] = []
        @Option(help: "Where the files go.") var directory = "."
        @Option(help: "json, yaml or properties.") var format = FileFormat.properties
        @Flag(help: "With passwords and secrets; the files get mode 0600.") var secrets = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                var names = names
                if directory != "." { try PrivateFile.makeFolder(directory) }
                if names.isEmpty {
                    let list = try await client.post("/destinations/list", options.wish())
                    names = try list.decode(DestinationAdmin.List.self).destinations.map(\.name)
                }
                for name in names {
                    let octets = try await DestinationCommand.text(client, options.wish(name), format, secrets)
                    let path = "\(directory)/\(name).\(format.rawValue)"
                    try AtomicFile.write(octets, to: path, mode: secrets ? 0o600 : 0o644)
                    print(path)
                }
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Make a destination for one exposed system, from a template."
        )
        @Argument(help: "The exposed system, such as internalhost:3333.") var host: String
        @Option(help: "Its name; made from the host unless given.") var name = ""
        @Option(help: "Of the Cloud Connector that exposes it.") var locationID: String?
        @Flag(help: "With the properties that SAP Build Process Automation looks for.") var actions = false
        @Flag(help: "Replace a destination with this name.") var replace = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                var wish = options.wish(name)
                (wish.host, wish.locationID) = (host, locationID)
                (wish.isForActions, wish.replaces) = (actions, replace)
                let done = try await client.post("/destinations/template", wish)
                    .decode(DestinationAdmin.Properties.self)
                print("\(done.properties["Name"] ?? "") \(done.properties["result"] ?? "")")
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "delete", abstract: "Delete a destination.")
        @Argument var name: String
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                _ = try await client.post("/destinations/delete", options.wish(name)).decode(AdminMessage.Empty.self)
            }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Check Connection: one request through token, tunnel, policy and internal host.",
            discussion: "Exit status: 0 when the system answers with less than 500, 2 when not, 1 for anything else."
        )
        @Argument var name: String
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let response = try await client.post("/destinations/check", options.wish(name))
                let check = try response.decode(ConnectionCheck.self)
                if json {
                    AdminCommand.printJSON(response.body)
                } else {
                    print(check.message)
                    if let detail = check.detail { print(detail) }
                }
                if !check.isGood { throw ExitCode(2) }
            }
        }
    }

    // MARK: Files

    private static func text(
        _ client: AdminClient,
        _ wish: DestinationAdmin.Wish,
        _ format: FileFormat,
        _ hasSecrets: Bool
    ) async throws -> [UInt8] {
        let shown = try await client.post("/destinations/show", wish).decode(DestinationAdmin.Properties.self)
        let destination = try NamedConfiguration(.destinations, shown.properties)
        return DestinationFile.write(hasSecrets ? destination.properties : destination.withoutSecrets, format)
    }

    private static func read(_ path: String) throws -> [NamedConfiguration] {
        guard let format = FileFormat(fileName: path) else {
            throw AdminFailure("\(path): the name must end with .json, .yaml, .yml or .properties")
        }
        do {
            let octets = try PlainFile.read(path, maxOctets: DestinationFile.maxOctets)
            if format == .json, case .array(let items)? = try? JSONLines.decode(JSONValue.self, octets) {
                return try items.map { try NamedConfiguration(.destinations, $0) }
            }
            return [try DestinationFile.read(octets, format, .destinations)]
        } catch let fault as FileFault {
            throw AdminFailure("\(path):\(fault.line.map { "\($0):" } ?? "") \(fault.message)")
        } catch {
            throw AdminFailure("\(path): \(error)")
        }
    }
}

extension FileFormat: ExpressibleByArgument {}

/// Columns for people.
enum TextTable {
    static func lines(_ head: [String], _ rows: [[String]]) -> String {
        let all = [head] + rows
        let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }
}
