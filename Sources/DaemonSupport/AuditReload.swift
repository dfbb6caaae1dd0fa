package import Logging
package import Telemetry

/// What a reload does to the audit log of a running process.
package enum AuditReload {
    /// - Returns: what could not be done, for whoever has asked for the reload.
    package static func apply(
        _ new: AuditLog.Configuration,
        to audit: AuditLog,
        cause: String,
        logger: Logger
    ) -> String? {
        if audit.isOn, new.directory != audit.configuration.directory {
            logger.warning("audit.directory takes effect at the next start")
        }
        do {
            try audit.apply(new, cause: cause)
            return nil
        } catch {
            logger.error("audit log is not written", metadata: ["cause": "\(error)"])
            return "the audit log is not written: \(error)"
        }
    }
}
