internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// What is answered without a login: whether the process lives, for load balancers and watchers (SAP Help, "Monitoring APIs").
enum OpenRoutes {
    /// - Parameter isMaster: as opposed to a connector that stands by for another one.
    static func answer(_ request: HTTPRequest, isMaster: () -> Bool) -> HTTPResponse? {
        guard request.path == "/exposed", request.method == "GET" || request.method == "HEAD" else { return nil }
        switch FormData([], query: request.query)?["action"] {
        case "ping": return HTTPResponse(status: .ok, contentType: "", body: [])
        case "hasMasterRole": return .text(.ok, isMaster() ? "true" : "false")
        // The probe of a load balancer.
        case "ensureMasterRole": return isMaster() ? .text(.ok, "true") : .text(.conflict, "false")
        default: return .text(.badRequest, "action must be ping, hasMasterRole or ensureMasterRole\n")
        }
    }
}
