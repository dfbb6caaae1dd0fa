package import ArgumentParser
internal import ConnectorProcess

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
                warn: CommandSupport.report
            )
        }
        for line in explanation.lines { print(line) }
        if !explanation.isAllowed { throw ExitCode.failure }
    }
}
