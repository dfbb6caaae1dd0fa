internal import AdminProtocol
internal import JSON
package import Logging
internal import NIOHTTP1
package import Networking
package import Telemetry

/// The level of the log, over the admin socket.
package enum AdminLevel {
    /// Answers the request for another level, which counts at once.
    package static func set(_ body: [UInt8], _ audit: AuditLog, _ logger: Logger) -> HTTPResponse {
        guard let text = try? JSONLines.decode(AdminMessage.Level.self, body).level,
            let level = LogLevel(rawValue: text)?.level
        else {
            let levels = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            return .error(.badRequest, "the level must be one of \(levels)")
        }
        let old = LogLevelSwitch.level
        LogLevelSwitch.level = level
        audit.record(.logLevelChanged, "Log level changed from \(old.rawValue) to \(level.rawValue)")
        logger.notice("log level changed", metadata: ["from": "\(old.rawValue)", "to": "\(level.rawValue)"])
        return .json(AdminMessage.Level(level: level.rawValue))
    }
}
