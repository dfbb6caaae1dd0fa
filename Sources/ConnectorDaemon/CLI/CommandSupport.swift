internal import ArgumentParser
internal import Dispatch
internal import Glibc
internal import Logging

/// How much is logged, as the command line has it.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// What the subcommands share.
enum CommandSupport {
    static func logger(_ label: String, _ level: LogLevel) -> Logger {
        Logger(label: label) { _ in TextLogHandler(level: level.level) }
    }

    /// Loads a configuration, prints what was found, and ends the program where it cannot be used.
    static func load<Configuration>(
        _ read: () throws -> (Configuration, warnings: [Finding])
    ) throws -> Configuration {
        do {
            let (configuration, warnings) = try read()
            for warning in warnings { printError(warning.description) }
            return configuration
        } catch let error as ConfigurationError {
            for finding in error.findings { printError(finding.description) }
            throw ExitCode(EX_USAGE)
        }
    }

    /// Starts something; what goes wrong is said in one line.
    static func start<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
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
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            unlink("\(folder)/\(name)")
        }
        rmdir(folder)
    }

    static func printError(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { octets in _ = Glibc.write(STDERR_FILENO, octets.baseAddress, octets.count) }
    }
}

/// Signals, as something to wait for.
enum Signals {
    /// Returns at the first SIGTERM or SIGINT.
    static func waitForTermination() async {
        signal(SIGPIPE, SIG_IGN)
        let queue = DispatchQueue(label: "signals")
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
