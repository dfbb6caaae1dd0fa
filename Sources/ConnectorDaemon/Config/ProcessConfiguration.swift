internal import Glibc
internal import Logging
internal import NIOCore
internal import Telemetry
internal import Tracing
internal import TunnelCore

/// What a configuration file says for the process as a whole: logs, audit log, admin socket, metrics.
struct ProcessConfiguration: Sendable, Equatable {
    struct Address: Sendable, Equatable {
        var host: String
        var port: Int
    }

    /// Nil leaves it to the command line.
    var logLevel: Logger.Level?
    var logFormat = LogFormat.auto
    var accessLog = false
    var audit = AuditLog.Configuration()
    /// A Unix socket; empty for none.
    var adminSocket = ""
    /// Nil for none.
    var metrics: Address?
    /// Where spans go; empty for none.
    var traceFile = ""
    /// Whether any of this was said, which only the main file may do.
    var isGiven = false

    static func read(_ section: inout Section, _ findings: Findings, socket: String) -> ProcessConfiguration {
        var process = ProcessConfiguration()
        process.adminSocket = socket
        if let node = section.value("log") { process.readLog(Section(node, "log", findings)) }
        if let node = section.value("audit") { process.readAudit(Section(node, "audit", findings)) }
        if let node = section.value("admin") { process.readAdmin(Section(node, "admin", findings), findings) }
        if let node = section.value("tracing") {
            var section = Section(node, "tracing", findings)
            process.isGiven = true
            process.traceFile = section.required("file", "where the spans shall be written") ?? ""
            section.finish()
        }
        return process
    }

    /// To be called once, before the first request.
    func bootstrapTracing(_ serviceName: String) -> SpanFile? {
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
            section.findings.error(section.node, "audit.directory", "is missing: where the audit files shall be")
        }
        section.finish()
    }

    private mutating func readAdmin(_ section: consuming Section, _ findings: Findings) {
        isGiven = true
        if let path = section.string("socket") {
            adminSocket = path
            if path.utf8.count > 100 {
                findings.error(section.place("socket"), "admin.socket", "is too long for a socket: at most 100 octets")
            }
        }
        if let address = section.address("metrics", allowsZero: true) {
            metrics = Address(host: address.host, port: address.port)
            if !["127.0.0.1", "::1", "localhost"].contains(address.host) {
                findings.warning(
                    section.place("metrics"),
                    "admin.metrics",
                    "everyone who reaches \(address.host) can read the metrics; they name your virtual hosts"
                )
            }
        }
        section.finish()
    }
}

/// Secrets that systemd hands over (systemd.exec(5), `LoadCredential=`).
enum Credential {
    /// Which of the two services.
    enum Service: String {
        case connector = "connector"
        case cloud = "connector-cloud"

        var folder: String { "/run/credentials/\(rawValue).service" }
    }

    /// Whether a path is that of a credential which only the service can see.
    static func isElsewhere(_ path: String) -> Bool {
        getenv("CREDENTIALS_DIRECTORY") == nil
            && [Service.connector, .cloud].contains { path.hasPrefix($0.folder + "/") }
    }

    /// `credential:NAME` stands for the file of that name in the service's credentials directory.
    ///
    /// For root's commands outside of the service it is the file that systemd takes it from, which is there before the
    /// first start: the units load the folder `/etc/SERVICE/credentials` as `connector_*`.
    static func path(_ text: String, of service: Service = .connector) -> String {
        let prefix = "credential:"
        guard text.hasPrefix(prefix) else { return text }
        let name = text.dropFirst(prefix.count)
        if let folder = getenv("CREDENTIALS_DIRECTORY") { return String(cString: folder) + "/" + name }
        let source = "/etc/\(service.rawValue)/credentials/\(name.dropFirst("connector_".count))"
        if name.hasPrefix("connector_"), !name.contains("/"), access(source, R_OK) == 0 { return source }
        return service.folder + "/" + name
    }
}

/// Tells whether files have changed since they were last read.
enum FileDigest {
    /// Of the contents; a file that cannot be read counts as empty.
    static func of(_ paths: [String]) -> [UInt8] {
        SHA256.digest(paths.flatMap { path in (try? ConfigurationFile.bytes(path)) ?? [] })
    }
}
