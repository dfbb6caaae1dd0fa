package import ConfigurationReading
internal import Glibc
package import Logging
internal import NIOCore
package import Telemetry
package import TextFormats
internal import Tracing

/// What a configuration file says for the process as a whole: logs, audit log, admin socket, metrics.
package struct ProcessConfiguration: Sendable, Equatable {
    /// Nil leaves it to the command line.
    package var logLevel: Logger.Level?
    package var logFormat = LogFormat.auto
    package var accessLog = false
    package var audit = AuditLog.Configuration()
    /// A Unix socket; empty for none.
    package var adminSocket = ""
    /// Nil for none.
    package var metrics: HostPort?
    /// Where spans go; empty for none.
    package var traceFile = ""
    /// Whether any of this was said, which only the main file may do.
    package var isGiven = false

    package init() {}

    /// Reads what both sides' files have in common: log, admin, audit, tracing.
    ///
    /// - Parameter further: reads those keys of `admin` that one side has alone.
    package static func read(
        _ section: inout Section,
        _ findings: Findings,
        socket: String,
        admin further: (inout Section) -> Void = { _ in }
    ) -> ProcessConfiguration {
        var process = ProcessConfiguration()
        process.adminSocket = socket
        if let node = section.value("log") { process.readLog(Section(node, "log", findings)) }
        if let node = section.value("audit") { process.readAudit(Section(node, "audit", findings)) }
        if let node = section.value("admin") { process.readAdmin(Section(node, "admin", findings), findings, further) }
        if let node = section.value("tracing") {
            var section = Section(node, "tracing", findings)
            process.isGiven = true
            process.traceFile = section.required("file", "where the spans are written") ?? ""
            section.finish()
        }
        return process
    }

    /// - Parameter level: from the command line, which counts more than the file.
    package func logger(_ label: String, _ level: LogLevel?) -> Logger {
        LogLevelSwitch.level = level?.level ?? logLevel ?? .info
        let format = logFormat
        return Logger(label: label) { ConnectorLogHandler(label: $0, format: format) }
    }

    /// To be called once, before the first request.
    package func bootstrapTracing(_ serviceName: String) -> SpanFile? {
        guard !traceFile.isEmpty else { return nil }
        let file = SpanFile(path: traceFile, serviceName: serviceName)
        InstrumentationSystem.bootstrap(file)
        return file
    }

    private mutating func readLog(_ section: consuming Section) {
        isGiven = true
        logLevel = section.choice("level", LogLevel.self)?.level
        logFormat = section.choice("format", LogFormat.self) ?? .auto
        accessLog = section.flag("access", false)
        section.finish()
    }

    private mutating func readAudit(_ section: consuming Section) {
        isGiven = true
        audit.level = section.choice("level", AuditLog.Level.self) ?? .security
        audit.directory = section.string("directory") ?? ""
        audit.maxAge = section.integer("max-age-days", 0, in: 0...3650)
        audit.fileSize = section.integer("file-size-mib", 16, in: 1...1024) << 20
        audit.whenFull = section.choice("when-full", AuditLog.FullPolicy.self) ?? .continue
        if audit.level != .off, audit.directory.isEmpty {
            section.findings.error(section.node, "audit.directory", "is missing: where the audit files are kept")
        }
        section.finish()
    }

    private mutating func readAdmin(
        _ section: consuming Section,
        _ findings: Findings,
        _ further: (inout Section) -> Void
    ) {
        isGiven = true
        if let path = section.string("socket") {
            adminSocket = path
            if path.utf8.count > 100 {
                findings.error(section.place("socket"), "admin.socket", "is too long for a socket: at most 100 bytes")
            }
        }
        if let address = section.address("metrics", allowsZero: true) {
            metrics = address
            if !address.isLoopback {
                findings.warning(
                    section.place("metrics"),
                    "admin.metrics",
                    "everyone who reaches \(address.host) can read the metrics; they name your virtual hosts"
                )
            }
        }
        further(&section)
        section.finish()
    }
}
