internal import AdminProtocol
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// A token for the SOCKS5 entry, and a new one before it expires.
actor TokenKeeper {
    private let binding: ConnectivityBinding
    /// The subaccount whose connectors are meant, if not the binding's own.
    private let tenant: String?
    private let client: HTTPClient
    private var kept: (token: String, until: Int)?
    private var asking: Task<String, any Error>?

    /// Seconds before its end at which a token counts as expired.
    private static let margin = 60

    init(_ binding: ConnectivityBinding, tenant: String?, _ client: HTTPClient) {
        (self.binding, self.tenant, self.client) = (binding, tenant, client)
    }

    /// However many ask at the same time, the token service is asked once.
    func token() async throws -> String {
        if let kept, kept.until > WallClock.seconds() { return kept.token }
        if let asking { return try await asking.value }
        let task = Task { try await ask() }
        asking = task
        defer { asking = nil }
        return try await task.value
    }

    /// For a token that the service did not take, such as after a rotation of its keys.
    func forget(_ token: String) {
        if kept?.token == token { kept = nil }
    }

    private func ask() async throws -> String {
        let fields = [
            ("grant_type", "client_credentials"), ("client_id", binding.clientID),
            ("client_secret", binding.clientSecret),
        ]
        let body = fields.map { "\($0)=\(PercentText.encode($1))" }.joined(separator: "&")
        let url = binding.tokenURL
        var headers: HTTPHeaders = [
            "host": url.authority, "content-type": "application/x-www-form-urlencoded", "accept": "application/json",
            "content-length": String(body.utf8.count), "connection": "close",
        ]
        if let tenant { headers.add(name: "x-zid", value: tenant) }
        let request = HTTPClient.Request(method: .POST, target: url.path, headers: headers, body: Array(body.utf8))
        let response: HTTPClient.Response
        do {
            response = try await client.send(request, to: .host(url.host, port: url.port, isTLS: url.isTLS))
        } catch {
            throw AdminError("no token: \(url.authority): \(error)")
        }
        guard response.status == .ok, let answer = try? JSONLines.decode(Answer.self, response.body) else {
            let text = LogText.escaped(response.body.prefix(200))
            throw AdminError("no token: \(url.authority) answered \(response.status.code): \(text)")
        }
        kept = (answer.access_token, WallClock.seconds() + max(0, min(answer.expires_in ?? 0, 86400) - Self.margin))
        return answer.access_token
    }

    private struct Answer: Decodable {
        var access_token: String
        var expires_in: Int?
    }
}
