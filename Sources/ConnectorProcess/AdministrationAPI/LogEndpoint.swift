internal import ConfigurationEditing
internal import Networking
internal import Telemetry
internal import TextFormats

/// `logAndTrace` and `auditLog`: how much is written where (SAP Help, "Log and Trace Configuration", "Audit Log Configuration").
struct LogEndpoint {
    let store: ConfigurationStore
    let call: APICall

    private struct Document: Encodable {
        var sccLogLevel: String
        var otherLogLevel: String
        var tlsTrace = false
        var isTlsTraceActive = false
        var cpicTraceLevel = 0
    }

    /// SAP's names for what the file calls otherwise.
    private static let levels = [
        ("ERROR", "error"), ("WARN", "warning"), ("INFO", "info"), ("DEBUG", "debug"), ("TRACE", "trace"),
    ]

    func answer() async throws -> HTTPResponse {
        try call.allow("GET", "PATCH")
        if call.method == "PATCH" {
            try await change()
            return .empty
        }
        let own = try store.value["log"]?["level"]?.scalar ?? "info"
        let level = Self.levels.first { $0.1 == own }?.0 ?? "INFO"
        return .json(Document(sccLogLevel: level, otherLogLevel: level))
    }

    private func change() async throws {
        var body = try APIBody(call.request)
        let wanted = try body.required("sccLogLevel")
        for name in ["otherLogLevel", "tlsTrace", "cpicTraceLevel", "cleanup", "rolloverThreshold"] {
            try body.refuse(name)
        }
        try body.finish()
        let level = wanted == "ALL" ? "trace" : Self.levels.first { $0.0 == wanted }?.1
        guard let level else {
            throw APIFailure.invalid("sccLogLevel must be one of \(Self.levels.map(\.0).joined(separator: ", ")), ALL")
        }
        try await call.change(store, "set log level \(level)", .set([.key("log"), .key("level")], .text(level)))
    }

    private struct AuditDocument: Encodable {
        var level: String
        var cleanup: Int
        var logPath: String
    }

    func audit() async throws -> HTTPResponse {
        try call.allow("GET", "PATCH")
        if call.method == "PATCH" {
            try await changeAudit()
            return .empty
        }
        let configuration = call.host.audit.configuration
        return .json(
            AuditDocument(
                level: configuration.directory.isEmpty ? "OFF" : configuration.level.rawValue.uppercased(),
                cleanup: configuration.maxAge,
                logPath: configuration.directory
            )
        )
    }

    /// Days for which SAP's product keeps audit files; 0 for ever.
    private static let ages = ["0", "14", "30", "90", "180", "365"]

    private func changeAudit() async throws {
        var body = try APIBody(call.request)
        let level = try body.text("level")
        let age = try body.text("cleanup")
        try body.refuse("logPath")
        try body.finish()
        if let level, !["OFF", "SECURITY", "ALL"].contains(level) {
            throw APIFailure.invalid("level must be one of OFF, SECURITY, ALL")
        }
        if let age, !Self.ages.contains(age) {
            throw APIFailure.invalid("cleanup must be one of \(Self.ages.joined(separator: ", "))")
        }
        guard level != nil || age != nil else { throw APIFailure.invalid("level or cleanup is needed") }
        if level != nil, level != "OFF", try store.value["audit"]?["directory"] == nil {
            throw APIFailure.conflict("audit.directory says where records go; it is set in the file")
        }
        try await call.change(store, "change audit log") { text in
            if let level { try text.apply(.set([.key("audit"), .key("level")], .text(level.lowercased()))) }
            if let age { try text.apply(.set([.key("audit"), .key("max-age-days")], .word(age))) }
        }
    }
}
