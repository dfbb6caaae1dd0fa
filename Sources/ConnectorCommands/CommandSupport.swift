internal import ArgumentParser
package import ConfigurationReading
internal import DaemonSupport
internal import Glibc
package import Telemetry

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

    package static func printError(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { bytes in _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }
}
