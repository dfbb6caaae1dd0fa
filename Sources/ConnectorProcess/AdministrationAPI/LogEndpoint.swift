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

    /// Read only: what is recorded changes at a start, not while records are being chained.
    func audit() throws -> HTTPResponse {
        guard call.method == "GET" else {
            throw APIFailure.conflict(
                "audit.level and audit.max-age-days are set in the file, and take effect at the next start"
            )
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
}
