package import AdminProtocol
package import ArgumentParser
package import ConfigurationReading
internal import DaemonSupport
internal import Glibc
internal import HostSystem
package import Telemetry
internal import TextFormats

extension LogLevel: ExpressibleByArgument {}

/// Where configurations are looked for: in the working directory, as in the source tree, else where the package puts
/// them.
package enum DefaultFile {
    package static var connector: String { choose("etc/connector.conf", "/etc/connector/connector.conf") }
    package static var cloud: String { choose("etc/cloud.conf", "/etc/connector-cloud/cloud.conf") }

    private static func choose(_ near: String, _ installed: String) -> String {
        unsafe access(near, F_OK) == 0 ? near : installed
    }
}

/// What the subcommands share.
package enum CommandSupport {
    /// Says what is odd, or wrong, in a file.
    package static func report(_ findings: [Finding]) {
        for line in findings.digest { printError(line) }
    }

    /// Has something done that reads configurations: where it fails, the cause is said, and the program ends with 64 for a
    /// bad configuration and 1 for anything else.
    package static func attempt<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as ConfigurationError {
            report(error.findings)
            let isDefault = [DefaultFile.connector, DefaultFile.cloud].contains(error.findings.first?.file)
            if isDefault, let file = error.findings.first?.file, unsafe access(file, F_OK) != 0 {
                printError(
                    "connectord: name the file with --config; `connectord demo` shows the whole path without one"
                )
            }
            throw ExitCode(EX_USAGE)
        } catch let error as StartError {
            printError("connectord: \(error)")
            throw error.isConfiguration ? ExitCode(EX_USAGE) : ExitCode.failure
        } catch let exit as ExitCode {
            throw exit
        } catch {
            printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }

    /// Ends the program where its first argument names no command, which the parser would take for a surplus argument.
    package static func refuseUnknown(_ arguments: [String], of program: CommandConfiguration) {
        guard let name = arguments.dropFirst().first, !name.hasPrefix("-"), name != "help" else { return }
        let known = (program.subcommands + program.groupedSubcommands.flatMap(\.subcommands)).compactMap {
            $0.configuration.commandName
        }
        guard !known.contains(name) else { return }
        let meant = NearestName.find(name, among: known).map { "; did you mean \($0)?" } ?? ""
        printError(
            "\(program.commandName ?? ""): there is no command \(LogText.escaped(name.utf8))\(meant) See --help."
        )
        exit(EX_USAGE)
    }

    /// A password or token.
    ///
    /// - Parameter file: that holds it; - for a line of standard input.
    package static func secret(_ file: String) throws(AdminError) -> String {
        if file == "-" {
            guard let line = readLine(strippingNewline: true) else { throw AdminError("standard input is empty") }
            return line
        }
        do {
            return try TextFile.secret(try PlainFile.read(file, maxBytes: 4096))
        } catch {
            throw AdminError("\(file): \(error)")
        }
    }

    /// Writes a line to standard error, whole.
    package static func printError(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { bytes in _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }
}
