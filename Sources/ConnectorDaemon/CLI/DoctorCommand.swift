internal import ArgumentParser
internal import Glibc

/// `connectord doctor`: which step on the way to the service fails.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out which step on the way to the service fails, and what to ask for.",
        discussion: """
            Goes through configuration, clock, certificate, name, connection, proxy, TLS, application protocol and the \
            service's welcome, for each address of the service. Exit status: 0 if a tunnel can be opened, 1 if not, 64 \
            for a bad configuration.
            """
    )

    @Option(help: "The connector's configuration file.")
    var config = DefaultFile.connector

    func run() async throws {
        let configurations = try CommandSupport.load { () throws(ConfigurationError) in try ConnectorFiles.load(config)
        }
        var isHealthy = true
        for configuration in configurations {
            if configurations.count > 1 { print("\(configuration.identity)") }
            var doctor = Doctor(configuration)
            isHealthy = await doctor.examine() && isHealthy
        }
        if !isHealthy { throw ExitCode.failure }
    }
}
