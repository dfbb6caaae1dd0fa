internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// What is answered without a login: whether the process lives, for load balancers and watchers (SAP Help, "Monitoring APIs").
enum OpenRoutes {
    static func answer(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.path == "/exposed", request.method == "GET" || request.method == "HEAD" else { return nil }
        switch FormData([], query: request.query)?["action"] {
        case "ping": return HTTPResponse(status: .ok, contentType: "", body: [])
        // There is no shadow that could have the role instead.
        case "hasMasterRole", "ensureMasterRole": return .text(.ok, "true")
        default: return .text(.badRequest, "action must be ping, hasMasterRole or ensureMasterRole\n")
        }
    }
}
