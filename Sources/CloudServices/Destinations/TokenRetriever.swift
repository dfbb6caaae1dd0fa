internal import Destinations
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Synchronization
internal import TextFormats

/// Gets tokens from the token services that destinations name, and keeps them while they last.
final class TokenRetriever: Sendable {
    /// Tokens that are kept; beyond that all are forgotten.
    static let maxKept = 1000
    /// Seconds before its end at which a token is asked for anew.
    static let margin = 60

    private let client: HTTPClient
    private let kept = Mutex<[TokenRetrieval: (token: AuthToken, expires: Int)]>([:])

    init(_ client: HTTPClient) { self.client = client }

    /// - Returns: a token, or one that says why there is none.
    func token(_ retrieval: TokenRetrieval) async -> AuthToken {
        let now = WallClock.seconds()
        if let (token, expires) = kept.withLock({ $0[retrieval] }), expires > now { return token }
        guard let url = WebURL(retrieval.url) else { return .failure("tokenServiceURL is not an http or https URL") }
        var headers: HTTPHeaders = [
            "host": url.authority, "content-type": "application/x-www-form-urlencoded", "accept": "application/json",
            "content-length": String(retrieval.body.utf8.count), "connection": "close",
        ]
        for (name, value) in retrieval.headers { headers.replaceOrAdd(name: name, value: value) }
        // Fields that come from a configuration must not become several (RFC 9110 section 5.5).
        guard headers.allSatisfy({ Self.isField($0.name) && Self.isField($0.value) }) else {
            return .failure("a property tokenService.headers.… holds characters that no header may have")
        }
        let request = HTTPClient.Request(
            method: .POST,
            target: url.path,
            headers: headers,
            body: Array(retrieval.body.utf8)
        )
        do {
            let response = try await client.send(request, to: .host(url.host, port: url.port, isTLS: url.isTLS))
            guard response.status == .ok, let token = AuthToken(answer: response.body) else {
                return .failure("Token retrieval failed: \(url.authority) answered \(Self.summary(response))")
            }
            keep(retrieval, token, now)
            return token
        } catch {
            return .failure("Token retrieval failed: \(url.authority): \(error)")
        }
    }

    private static func isField(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }

    private static func summary(_ response: HTTPClient.Response) -> String {
        let error = try? JSONLines.decode([String: JSONValue].self, response.body)
        let words = [error?["error"]?.string, error?["error_description"]?.string].compactMap { $0 }
        return ([String(response.status.code)] + words.map { LogText.escaped($0.utf8.prefix(200)) })
            .joined(separator: ": ")
    }

    private func keep(_ retrieval: TokenRetrieval, _ token: AuthToken, _ now: Int) {
        guard let seconds = token.expires_in.flatMap(Int.init), seconds > Self.margin else { return }
        kept.withLock { kept in
            if kept.count >= Self.maxKept { kept.removeAll() }
            kept[retrieval] = (token, now + min(seconds, 86400) - Self.margin)
        }
    }
}
