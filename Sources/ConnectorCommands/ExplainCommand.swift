package import ArgumentParser
internal import ConnectorProcess
internal import HostSystem

/// `connectord explain`: rehearses a request against the configuration.
package struct ExplainCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say which mapping and resource decide on a request, and why.",
        discussion: """
            Exit status: 0 if the request would be forwarded, 1 if it would be refused, 64 for a bad configuration.
            """
    )

    @OptionGroup var configuration: ConnectorFileOption

    @Flag(help: "The request asks for a protocol upgrade, such as WebSocket.")
    var upgrade = false

    @Option(help: "A file with the token of a user: who is it to the internal host?")
    var userToken: String?

    @Argument(help: "GET, POST and so on. Methods make no difference to the policy.")
    var method: String

    @Argument(help: "As a program in the cloud writes it, such as http://internalhost:3333/hello.")
    var url: String

    package func run() async throws {
        let explanation = try await CommandSupport.attempt {
            try ConnectorProgram.explain(
                try configuration.file(),
                method: method,
                url: url,
                isUpgrade: upgrade,
                userToken: try userToken.map { try PlainFile.read($0, maxBytes: 1 << 20) },
                warn: CommandSupport.report
            )
        }
        for line in explanation.lines { print(line) }
        if !explanation.isAllowed { throw ExitCode.failure }
    }
}
