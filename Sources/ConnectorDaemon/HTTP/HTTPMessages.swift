internal import ControlProtocol
internal import NIOHTTP1
internal import Telemetry

struct HTTPRequest: Sendable {
    var method: String
    /// As it came, without a query.
    var path: String
    /// After the question mark, as it came.
    var query = ""
    var headers = HTTPHeaders()
    var body: [UInt8]
    /// IP address of the client; empty for a socket in the file system.
    var remote = ""

    /// Of the `Host` field, in lower case, without a port.
    var host: String {
        let text = headers.first(name: "host") ?? ""
        if text.hasPrefix("[") { return String(text.prefix { $0 != "]" }) + "]" }
        return text.prefix { $0 != ":" }.lowercased()
    }
}

struct HTTPResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType = "application/json"
    var headers: HTTPHeaders = [:]
    var body: [UInt8]

    static func json(_ value: some Encodable, _ status: HTTPResponseStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, body: JSONLines.encode(value))
    }

    static func error(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        json(AdminError(error: text), status)
    }

    static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "text/plain;charset=UTF-8", body: Array(text.utf8))
    }

    static func metrics(_ exposition: Exposition) -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            contentType: "text/plain; version=0.0.4; charset=utf-8",
            body: Array(exposition.text.utf8)
        )
    }
}

/// The body of an answer that says no.
struct AdminError: Codable, Sendable {
    var error: String
}

/// Who answers requests.
protocol HTTPRouter: Sendable {
    func answer(_ request: HTTPRequest) async -> HTTPResponse
}
