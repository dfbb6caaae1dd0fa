internal import ArgumentParser
internal import Dispatch
internal import Glibc
internal import Logging
internal import Telemetry
internal import TunnelCore

/// How much is logged, as the command line has it.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// Where configurations are looked for: in the working directory, as in the source tree, else where the package puts
/// them.
enum DefaultFile {
    static var connector: String { choose("etc/connector.conf", "/etc/connector/connector.conf") }
    static var cloud: String { choose("etc/cloud.conf", "/etc/connector-cloud/cloud.conf") }

    private static func choose(_ near: String, _ installed: String) -> String {
        access(near, F_OK) == 0 ? near : installed
    }
}

/// What the subcommands share.
enum CommandSupport {
    /// - Parameter level: from the command line, which counts more than the file.
    static func logger(_ label: String, _ level: LogLevel?, _ process: ProcessConfiguration) -> Logger {
        LogLevelSwitch.level = level?.level ?? process.logLevel ?? .info
        return Logger(label: label) { ConnectorLogHandler(label: $0, format: process.logFormat) }
    }

    /// Loads a configuration, prints what was found, and ends the program where it cannot be used.
    static func load<Configuration>(
        _ read: () throws -> (Configuration, warnings: [Finding])
    ) throws -> Configuration {
        do {
            let (configuration, warnings) = try read()
            for warning in warnings.digest { printError(warning) }
            return configuration
        } catch let error as ConfigurationError {
            for finding in error.findings.digest { printError(finding) }
            throw ExitCode(EX_USAGE)
        }
    }

    /// For a connector that is not enrolled yet: that its certificates are missing is no news.
    static func loadIgnoringMissingFiles(_ file: String) throws -> (ConnectorConfiguration, [Finding]) {
        do throws(ConfigurationError) {
            return try ConnectorConfigurationReader.load(file)
        } catch {
            for finding in error.findings.digest { printError(finding) }
            throw ExitCode(EX_USAGE)
        }
    }

    /// Starts something; what goes wrong is said in one line.
    static func start<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as TLSError where error.code == .configuration {
            printError("connectord: cannot start: \(error); is this connector enrolled? See `connectord enrol --help`")
            throw ExitCode(EX_USAGE)
        } catch {
            printError("connectord: cannot start: \(error)")
            throw ExitCode.failure
        }
    }

    /// A folder that nobody else can read.
    static func temporaryFolder() throws -> String {
        var template = Array("/tmp/connectord-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            printError("connectord: cannot make a folder in /tmp: \(String(cString: strerror(errno)))")
            throw ExitCode.failure
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a folder of files.
    static func remove(_ folder: String) {
        for name in Folder.names(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    static func printError(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { octets in _ = Glibc.write(STDERR_FILENO, octets.baseAddress, octets.count) }
    }
}

/// Signals, as something to wait for: from now on these arrive here and nowhere else, as long as this object lives.
final class Signals {
    let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init(_ numbers: [Int32]) {
        signal(SIGPIPE, SIG_IGN)
        let queue = DispatchQueue(label: "signals")
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        self.stream = stream
        sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }

    /// Returns at the first SIGTERM or SIGINT.
    static func waitForTermination() async {
        let signals = Signals([SIGTERM, SIGINT])
        for await _ in signals.stream { break }
    }
}
