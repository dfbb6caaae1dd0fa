internal import ArgumentParser
internal import ConnectorCommands
internal import DemoScenario
internal import Glibc

/// `connectord certificates`: a throw-away authority with a certificate for each side.
struct CertificatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract: "Make certificates for a connector and a connectivity service, for tests.",
        discussion: """
            Writes ca.pem, service.pem, service.key, connector.pem and connector.key. The authority's key is not \
            kept. Existing files are left alone.
            """
    )

    @Option(help: "Where to write.")
    var directory = "."

    @Option(help: "The subaccount the connector belongs to.")
    var subaccount: String

    @Option(help: "The connector's location ID.")
    var locationID = ""

    @Option(help: "Names and addresses of the connectivity service.")
    var serviceName = ["localhost", "127.0.0.1"]

    @Option(help: "How long the certificates are valid, in days.")
    var days = 30

    func run() throws {
        do {
            try ThrowAwayCertificates.write(
                to: directory,
                subaccount: subaccount,
                locationID: locationID,
                serviceNames: serviceName,
                days: days
            )
        } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }
}
