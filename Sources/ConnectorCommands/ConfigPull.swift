internal import ArgumentParser
internal import ConnectorProcess
internal import DaemonSupport
internal import TextFormats

/// `connectord config pull`.
struct ConfigPull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Take the file of another connector of the same identity, and have a running connector take it.",
        discussion: """
            The other one needs `admin.replication`. Both show the certificates of their tunnels, which must be for the same \
            subaccount and location ID. \(ConfigurationPull.ownKeys.joined(separator: ", ")) stay as they are here, and files \
            that the configuration names are not copied. Exit status: as of `connectord system`.
            """
    )

    @Argument(help: "Host and port of the other one's admin.replication.")
    var peer: String

    @OptionGroup var options: ChangeOptions

    func validate() throws {
        guard HostPort.parse(peer)?.port != nil else { throw ValidationError("\(peer) is not HOST:PORT") }
        guard options.file.other == nil else {
            throw ValidationError("the connector's own file is pulled; leave out --in")
        }
    }

    func run() async throws {
        guard let (host, port) = HostPort.parse(peer), let port else { return }
        var fetched: ConfigurationPull?
        try await CommandSupport.attempt {
            fetched = try await ConfigurationPull.fetch(from: host, port: port, for: try options.file.main())
        }
        guard let fetched else { return }
        try await options.change("config pull \(peer)") { try fetched.apply(to: $0, isRehearsed: options.dryRun) }
    }
}
