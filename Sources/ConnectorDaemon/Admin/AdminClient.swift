internal import ControlProtocol
internal import NIOCore
internal import NIOHTTP1
internal import Tokens

/// Asks a running daemon over its admin socket.
struct AdminClient {
    let path: String

    struct Response: Sendable {
        var status: Int
        var body: [UInt8]

        func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            guard status == 200 else {
                let text = (try? JSONLines.decode(AdminError.self, body))?.error
                throw AdminFailure(text ?? "the daemon answered \(status)")
            }
            return try JSONLines.decode(type, body)
        }
    }

    func get(_ path: String) async throws -> Response { try await send(.GET, path, []) }
    func post(_ path: String, _ value: some Encodable) async throws -> Response {
        try await send(.POST, path, JSONLines.encode(value))
    }
    func put(_ path: String, _ value: some Encodable) async throws -> Response {
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
            throw AdminFailure(
                "no daemon answers on \(path) (\(error)): does it run, and is this its socket?"
            )
        }
    }
}

/// Bodies of requests and answers on the admin socket.
enum AdminMessage {
    struct Level: Codable, Sendable { var level: String }
    struct Empty: Codable, Sendable {}
    struct Check: Codable, Sendable { var hosts: [String] }
    struct Systems: Codable, Sendable { var systems: [ConnectorStatus.System] }
    struct Reload: Codable, Sendable {
        var isApplied: Bool
        /// Errors if not, warnings if so.
        var findings: [String]
    }
    struct Enrolment: Codable, Sendable {
        var subaccount: String
        var locationID: String
        var seconds: Int
    }
    struct Token: Codable, Sendable {
        var token: String
        var expires: Int
        /// Something odd about the wish.
        var note: String?
    }
    struct TokenWish: Codable, Sendable {
        var subaccount: String?
        var service: ServiceClient.Service
        var user: String?
    }
    struct Key: Codable, Sendable { var id: String }
    struct Identity: Codable, Sendable {
        var subaccount: String
        var locationID: String
    }
    struct Revoked: Codable, Sendable {
        var certificates: Int
        var tunnels: Int
    }
}
