package import Logging

/// How much is logged, as the command line and the configuration have it.
package enum LogLevel: String, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error

    package var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
