internal import AdminProtocol
package import ArgumentParser
internal import ConfigurationReading
internal import ConnectorProcess
internal import Glibc
internal import HostSystem
internal import TextFormats

/// `connectord enrol TOKEN`: the connector's half of pairing it with a service.
package struct EnrolUseCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "use",
        abstract: "Enrol this connector with a token.",
        discussion: """
            Start or reload the connector afterwards. Exit status: 1 if the service refused or could not be \
            reached, 64 if token and configuration do not fit.
            """
    )

    @Argument(help: "What `connectord enrol create` printed; - reads it from standard input.")
    var token: String?

    @Option(help: "A file that holds the token, so that it stands in no list of processes.")
    var tokenFile: String?

    @Option(help: "The connector's configuration file; its paths are written to, its proxy is used.")
    var config = DefaultFile.connector

    @Option(help: "Who should own the files, when run as root; by default the owner of their folder.")
    var owner: String?

    package func run() async throws {
        let token = try readToken()
        do {
            let result = try await ConnectorProgram.enrol(token, config, owner: owner)
            print("enrolled as \(result.identity)")
            for file in result.files { print("  \(file)") }
            print("certificate valid until \(WallClock.text(result.expires)); it is renewed by itself")
        } catch let error as ConfigurationError {
            CommandSupport.report(error.findings)
            throw ExitCode(EX_USAGE)
        } catch let error as EnrolMismatchError {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode(EX_USAGE)
        } catch {
            CommandSupport.printError("connectord: not enrolled: \(error)")
            throw ExitCode.failure
        }
    }

    private func readToken() throws -> String {
        switch (token, tokenFile) {
        case (let token?, nil) where token != "-": return token
        case (let file?, nil), (nil, let file?):
            do throws(AdminError) {
                return try CommandSupport.secret(file)
            } catch {
                throw ValidationError(error.description)
            }
        case (nil, nil): throw ValidationError("Missing expected argument '<token>', or --token-file")
        case (.some, .some): throw ValidationError("the token is given twice")
        }
    }
}
