internal import AdminAccess
internal import AdminProtocol
internal import CloudConnector
internal import ConfigurationEditing
internal import Cryptography
internal import HostSystem
internal import Networking
internal import Telemetry
internal import TextFormats

/// SAP's monitoring API (SAP Help, "Monitoring APIs"): figures that are counted anyway, read when somebody asks.
enum MonitoringAPI {
    static let root = "/api/monitoring/"

    static func answer(_ call: APICall) async -> HTTPResponse {
        do {
            guard [.administrator, .monitoring].contains(call.caller.role) else {
                throw APIFailure.forbidden(
                    "this needs the role Administrator, Monitoring, and yours is \(call.caller.role.title)"
                )
            }
            try call.allow("GET")
            return try await page(call, String(call.request.path.dropFirst(root.count)))
        } catch {
            return APIFailure(error).response
        }
    }

    private static func page(_ call: APICall, _ path: String) async throws -> HTTPResponse {
        let report = MonitoringReport(call)
        // One agent in the field writes everything small.
        switch path.lowercased() {
        case "subaccounts": return .json(try await report.subaccounts())
        case "connections/backends": return .json(try await report.connections())
        case "connections/servicechannels": return .json(try await report.serviceChannels())
        case "performance/backends": return .json(try await report.performance())
        case "performance/toptimeconsumers": return .json(try await report.topTimeConsumers())
        case "usage": return .json(try await report.usage())
        case "cpu": return .json(report.processors())
        case "disk": return .json(report.disk())
        case "memory": return .json(report.memory())
        case "certificates": return .json(await report.certificates())
        case "certificates/expired": return .json(await report.certificates().expired)
        case "certificates/expiring": return .json(await report.certificates().expiring)
        case "certificates/ok": return .json(await report.certificates().ok)
        case "alerts": return .json(await report.alerts())
        default: throw APIFailure.unsupported([path])
        }
    }
}
