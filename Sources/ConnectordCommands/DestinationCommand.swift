internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import Destinations
internal import Glibc
internal import HostSystem
internal import JSON
internal import TextFormats

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

        func request(_ name: String = "") -> DestinationMessage.Request { .init(subaccount: subaccount, name: name) }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List destinations.")
        @OptionGroup var options: Options
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                let list = try await client.post("/destinations/list", options.request())
                    .decode(DestinationMessage.List.self)
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
                let bytes = try await DestinationCommand.text(client, options.request(name), format, secrets)
                print(String(decoding: bytes, as: UTF8.self), terminator: "")
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import",
            abstract: "Create destinations from files: JSON, YAML or .properties, as the cockpit exports them.",
            discussion: """
                A JSON file may also be the config.json of a service instance, with init_data; what is in it for \
                destinations that exist counts, unless --replace is given.
                """
        )
        @Argument(help: "Files; a JSON file may hold an array.") var files: [String]
        @Flag(help: "Replace destinations that exist.") var replace = false
        @OptionGroup var options: Options

        func run() async throws {
            try await AdminCommand.run(options.service.admin) { client in
                // All are read before the first is written.
                let all = try files.flatMap { try DestinationCommand.read($0) }
                for (file, entry) in all {
                    let destination = entry.configuration
                    for warning in destination.warnings {
                        CommandSupport.printError("\(file): warning: \(destination.name): \(warning)")
                    }
                    var request = options.request(destination.name)
                    (request.properties, request.kind) = (destination.properties, destination.kind.rawValue)
                    request.replaces = replace || entry.policy == .update
                    let response = try await client.post("/destinations/import", request)
                    if entry.policy == .ignore, response.status == 409 {
                        print("\(destination.name) kept")
                        continue
                    }
                    let done = try response.decode(DestinationMessage.Properties.self)
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
                    let list = try await client.post("/destinations/list", options.request())
                    names = try list.decode(DestinationMessage.List.self).destinations.map(\.name)
                }
                for name in names {
                    let bytes = try await DestinationCommand.text(client, options.request(name), format, secrets)
                    let path = "\(directory)/\(name).\(format.rawValue)"
                    try AtomicFile.write(bytes, to: path, mode: secrets ? 0o600 : 0o644)
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
                var request = options.request(name)
                (request.host, request.locationID) = (host, locationID)
                (request.isForActions, request.replaces) = (actions, replace)
                let done = try await client.post("/destinations/template", request)
                    .decode(DestinationMessage.Properties.self)
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
                _ = try await client.post("/destinations/delete", options.request(name)).decode(AdminMessage.Empty.self)
                print("\(name) deleted")
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
                let response = try await client.post("/destinations/check", options.request(name))
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
        _ request: DestinationMessage.Request,
        _ format: FileFormat,
        _ hasSecrets: Bool
    ) async throws -> [UInt8] {
        let shown = try await client.post("/destinations/show", request).decode(DestinationMessage.Properties.self)
        let destination = try NamedConfiguration(.destinations, shown.properties)
        return DestinationFile.write(hasSecrets ? destination.properties : destination.withoutSecrets, format)
    }

    private static func read(_ path: String) throws -> [(file: String, entry: ServiceInstanceFile.Entry)] {
        func fails(_ configuration: NamedConfiguration) -> (String, ServiceInstanceFile.Entry) {
            (path, ServiceInstanceFile.Entry(configuration: configuration, policy: .fail))
        }
        guard let format = FileFormat(fileName: path) else {
            throw AdminError("\(path): the name must end with .json, .yaml, .yml or .properties")
        }
        do {
            let bytes = try PlainFile.read(path, maxBytes: DestinationFile.maxBytes)
            if format == .json, let value = try? JSONLines.decode(JSONValue.self, try TextFile.withoutMark(bytes)) {
                if case .array(let items) = value {
                    return try items.map { fails(try NamedConfiguration(.destinations, $0)) }
                }
                if let instance = try ServiceInstanceFile(value) { return instance.entries.map { (path, $0) } }
            }
            return [fails(try DestinationFile.read(bytes, format, .destinations))]
        } catch let fault as DestinationFileError {
            throw AdminError("\(path):\(fault.line.map { "\($0):" } ?? "") \(fault.message)")
        } catch {
            throw AdminError("\(path): \(error)")
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
