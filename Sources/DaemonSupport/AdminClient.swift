internal import AdminProtocol
internal import JSON
internal import NIOCore
internal import NIOHTTP1
internal import Networking

/// Asks a running daemon over its admin socket.
package struct AdminClient {
    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// Status and body of an answer.
    package struct Response: Sendable {
        package var status: Int
        package var body: [UInt8]

        /// The body as a message; for another status, what the daemon says is thrown.
        package func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            guard status == 200 else {
                let text = (try? JSONLines.decode(AdminErrorBody.self, body))?.error
                throw AdminError(text ?? "the daemon answered \(status)")
            }
            return try JSONLines.decode(type, body)
        }
    }

    /// Sends GET; the answer is taken whole.
    package func get(_ path: String) async throws -> Response { try await send(.GET, path, []) }
    /// Sends a message as JSON.
    package func post(_ path: String, _ value: some Encodable) async throws -> Response {
        try await send(.POST, path, JSONLines.encode(value))
    }
    /// Sends a message as JSON.
    package func put(_ path: String, _ value: some Encodable) async throws -> Response {
        try await send(.PUT, path, JSONLines.encode(value))
    }

    func delete(_ path: String) async throws -> Response { try await send(.DELETE, path, []) }

    private func send(_ method: HTTPMethod, _ target: String, _ body: [UInt8]) async throws -> Response {
        let headers: HTTPHeaders = [
            "host": "connectord", "content-length": String(body.count), "content-type": "application/json",
        ]
        let request = HTTPClient.Request(method: method, target: target, headers: headers, body: body)
        do {
            // A check of many hosts and the end of a long reload may take their time.
            let response = try await HTTPClient(timeout: .minutes(10)).send(request, to: .socket(path))
            return Response(status: Int(response.status.code), body: response.body)
        } catch {
            var failure = AdminError(
                "no daemon answers on \(path) (\(error)): does it run, and is this its socket?"
            )
            failure.isUnreachable = true
            throw failure
        }
    }
}
