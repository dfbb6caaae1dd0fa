internal import ConfigurationEditing
internal import JSON
internal import Networking

/// `connector/alerting` and `connector/email` (SAP Help, "Alerting Configuration", "E-Mail Configuration").
struct AlertingEndpoint {
    let store: ConfigurationStore
    let call: APICall

    private struct Document: Encodable {
        struct Thresholds: Encodable {
            var cpuLoad: Int
            var cpuLoadViolationToleranceSec: Int
            var freeDiskSpaceMb: Int
            var certificateValidityDays: Int
        }
        var thresholds: Thresholds
        var notification = AlertingEndpoint.notifications
    }

    /// SAP's names, ours, and what they may be.
    private static let thresholds: [(name: String, key: String, range: ClosedRange<Int>)] = [
        ("cpuLoad", "cpu-load", 1...100), ("cpuLoadViolationToleranceSec", "cpu-duration", 1...86_400),
        ("freeDiskSpaceMb", "free-disk-mib", 0...1_000_000_000),
        ("certificateValidityDays", "certificate-days", 0...3650),
    ]
    /// About what this connector warns, by SAP's names.
    private static let notifications = [
        "ha": false, "tunnels": false, "serviceChannels": false, "CPU": true, "freeDiskSpace": true,
        "certificates": true, "troubleshooting": false,
    ]

    func alerting() async throws -> HTTPResponse {
        try call.allow("GET", "PUT", "PATCH")
        guard call.method != "GET" else {
            let now = call.host.machine.thresholds
            return .json(
                Document(
                    thresholds: Document.Thresholds(
                        cpuLoad: now.load,
                        cpuLoadViolationToleranceSec: now.loadSeconds,
                        freeDiskSpaceMb: now.freeMiB,
                        certificateValidityDays: now.certificateDays
                    )
                )
            )
        }
        var body = try APIBody(call.request)
        let wanted = try Self.wanted(try body.object("thresholds"))
        try Self.check(try body.object("notification"))
        try body.finish()
        if call.method == "PUT", wanted.count < Self.thresholds.count {
            let missing = Self.thresholds.first { one in !wanted.contains { $0.key == one.key } }
            throw APIFailure.invalid("thresholds.\(missing?.name ?? "") is missing")
        }
        guard !wanted.isEmpty else { return .empty }
        try await call.change(store, "change alerting") { text in
            for (key, value) in wanted { try text.apply(.set([.key("alerts"), .key(key)], .word(value))) }
        }
        return .empty
    }

    private static func wanted(_ object: JSONValue?) throws(APIFailure) -> [(key: String, value: String)] {
        guard case .object(let members)? = object else { return [] }
        var wanted: [(key: String, value: String)] = []
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            // SAP's product has files of its own for these; here there is one file system.
            if ["freeDiscForAuditLogMb", "freeDiscForTraceMb"].contains(name) {
                throw .invalid(
                    "thresholds.\(name) is not built: freeDiskSpaceMb is for the file system of the audit log"
                )
            }
            guard let known = thresholds.first(where: { $0.name == name }) else {
                throw .invalid("thresholds.\(name) is not known")
            }
            let number: Int? =
                switch value {
                case .integer(let number): Int(number)
                case .string(let text): Int(text)
                default: nil
                }
            guard let number, known.range.contains(number) else {
                throw .invalid(
                    "thresholds.\(name) must be between \(known.range.lowerBound) and \(known.range.upperBound)"
                )
            }
            wanted.append((known.key, name == "cpuLoadViolationToleranceSec" ? "\(number)s" : "\(number)"))
        }
        return wanted
    }

    /// What is warned about cannot be chosen.
    private static func check(_ object: JSONValue?) throws(APIFailure) {
        guard case .object(let members)? = object else { return }
        for (name, value) in members {
            guard let isOn = notifications[name] else { throw .invalid("notification.\(name) is not known") }
            guard case .bool(isOn) = value else {
                throw .invalid(
                    "notification.\(name) is always \(isOn) here: "
                        + (isOn ? "it stands in the log and in the monitoring API" : "not built")
                )
            }
        }
    }

    // MARK: E-mail

    private struct EMail: Encodable {
        var enabled = false
    }

    /// Nothing here sends mail; what watches the log, the metrics or the monitoring API can.
    func email() throws -> HTTPResponse {
        try call.allow("GET", "PUT", "PATCH")
        if call.method == "GET" { return .json(EMail()) }
        var body = try APIBody(call.request)
        guard try body.flag("enabled") == false else {
            throw APIFailure.invalid(
                "e-mail is not built; alerts stand in the log and in /api/monitoring/alerts, for what sends mail already"
            )
        }
        return .empty
    }
}
