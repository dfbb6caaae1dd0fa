internal import AdminProtocol
internal import JSON
package import NIOHTTP1
internal import Synchronization

/// A request with all of its body, as a route gets it.
package struct HTTPRequest: Sendable {
    package var method: String
    /// As it came, without a query.
    package var path: String
    /// After the question mark, as it came.
    package var query = ""
    package var headers = HTTPHeaders()
    package var body: [UInt8] = []
    /// IP address of the client; empty for a socket in the file system.
    package var remote = ""
    /// Serial number of the certificate that the client has shown, as in `CertificateDetails`.
    package var clientSerial: String?
    /// Whether anybody still waits for the answer.
    package var client = ClientPresence()

    package init(
        method: String,
        path: String,
        query: String = "",
        headers: HTTPHeaders = [:],
        body: [UInt8] = [],
        remote: String = "",
        client: ClientPresence = ClientPresence()
    ) {
        (self.method, self.path, self.query) = (method, path, query)
        (self.headers, self.body, self.remote, self.client) = (headers, body, remote, client)
    }

    /// Of the `Host` field, in lower case, without a port.
    package var host: String {
        let text = headers.first(name: "host") ?? ""
        if text.hasPrefix("[") { return String(text.prefix { $0 != "]" }) + "]" }
        return text.prefix { $0 != ":" }.lowercased()
    }
}

/// Tells those who work on an answer that its client has hung up.
package final class ClientPresence: Sendable {
    private let gone = Atomic<Bool>(false)

    package init() {}

    package var isGone: Bool { gone.load(ordering: .relaxed) }
    func leave() { gone.store(true, ordering: .relaxed) }
}

/// A response with all of its body, as a route gives it.
package struct HTTPResponse: Sendable {
    package var status: HTTPResponseStatus
    /// Empty where there is no body to have one.
    package var contentType = "application/json"
    package var headers: HTTPHeaders = [:]
    package var body: [UInt8]

    package init(
        status: HTTPResponseStatus,
        contentType: String = "application/json",
        headers: HTTPHeaders = [:],
        body: [UInt8]
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    /// A value as JSON.
    package static func json(_ value: some Encodable, _ status: HTTPResponseStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, body: JSONLines.encode(value))
    }

    /// A failure as JSON: `{"error": "…"}`.
    package static func error(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        json(AdminErrorBody(error: text), status)
    }

    /// Text for people.
    package static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "text/plain;charset=UTF-8", body: Array(text.utf8))
    }
}

/// Who answers requests.
package protocol HTTPRouter: Sendable {
    func answer(_ request: HTTPRequest) async -> HTTPResponse
}
