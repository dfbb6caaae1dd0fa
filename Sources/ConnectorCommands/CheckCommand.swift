internal import AdminProtocol
package import ArgumentParser
internal import ConfigurationReading
internal import ConnectorProcess
internal import DaemonSupport
internal import JSON
internal import Telemetry
internal import TextFormats

/// `connectord check`: availability of internal hosts.
package struct CheckCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look whether internal hosts can be reached.",
        discussion: """
            HEAD / for HTTP and HTTPS, a connection for TCP, a handshake for TCPS. A running connector looks from where \
            it is; if none runs, this command looks itself. Exit status: 0 when all are reachable, 2 when one is not, \
            64 for a bad configuration, 1 for anything else.
            """
    )

    @Argument(help: "Virtual hosts, as host or host:port; none for all.")
    var hosts: [String] = []

    @OptionGroup var options: ConnectorOptions

    @Flag(help: "Look from here, even if a connector runs.")
    var local = false

    @Flag(help: "Show each step: name, TCP, TLS with the chain of certificates, HTTP. A connector must run.")
    var steps = false

    @Flag(help: "Print JSON.")
    var json = false

    package func run() async throws {
        if steps, local {
            throw ValidationError("--steps needs a running connector, so --local has no place beside it")
        }
        try await AdminCommand.run(options.admin) { client in
            if steps {
                let message = AdminMessage.Check(hosts: hosts)
                let found = try await client.post("/check/steps", message).decode(AdminMessage.Steps.self).systems
                if json {
                    AdminCommand.printJSON(JSONLines.encode(found))
                } else {
                    print(StatusText.steps(found), terminator: "")
                }
                if found.contains(where: { $0.steps.contains { !$0.isGood } }) { throw ExitCode(2) }
                return
            }
            let systems: [ConnectorStatus.System]
            if !local, let response = try? await client.post("/check", AdminMessage.Check(hosts: hosts)) {
                systems = try response.decode(AdminMessage.Systems.self).systems
            } else {
                systems = try await CommandSupport.attempt {
                    try await ConnectorProgram.check(options.config, hosts: hosts, warn: CommandSupport.report)
                }
            }
            if json {
                AdminCommand.printJSON(JSONLines.encode(systems))
            } else {
                print(StatusText.table(systems), terminator: "")
            }
            if systems.contains(where: { $0.availability.state == .notReachable }) { throw ExitCode(2) }
        }
    }
}
