internal import NIOHTTP1

/// A token without which a system changes nothing, and the session that it belongs to (SAP Gateway, "Cross-Site Request Forgery
/// Protection").
struct CSRFToken {
    let value: String
    /// As a request sends them; empty for none.
    let cookies: String

    /// Whether a request of this method needs one.
    static func isNeeded(_ method: String) -> Bool { ["POST", "PUT", "PATCH", "DELETE", "MERGE"].contains(method) }

    /// - Returns: nil for an answer that brings none.
    init?(_ headers: HTTPHeaders) {
        guard let value = headers.first(name: "x-csrf-token"), !value.isEmpty, value.lowercased() != "required",
            value.lowercased() != "fetch"
        else { return nil }
        self.value = value
        // Without their attributes (RFC 6265 section 4.2).
        cookies = headers["set-cookie"].compactMap { cookie in
            cookie.split(separator: ";").first.map { String($0) }
        }.joined(separator: "; ")
    }

    /// A request's headers with token and cookies, beside the cookies that it has.
    func applied(to headers: HTTPHeaders) -> HTTPHeaders {
        var headers = headers
        headers.replaceOrAdd(name: "x-csrf-token", value: value)
        let all = (headers["cookie"] + [cookies]).filter { !$0.isEmpty }.joined(separator: "; ")
        if !all.isEmpty { headers.replaceOrAdd(name: "cookie", value: all) }
        return headers
    }
}
