internal import Cryptography
internal import NIOHTTP1
package import Networking

/// Whether a request comes from a page of ours, and what keeps such a page from being used by others.
package enum PageOrigin {
    /// Browsers say from where a request comes; what says nothing is no browser of today.
    package static func isOwn(_ request: HTTPRequest) -> Bool {
        if let site = request.headers.first(name: "sec-fetch-site"), site != "same-origin" { return false }
        guard let origin = request.headers.first(name: "origin") else { return true }
        let host = request.headers.first(name: "host") ?? ""
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Whether a request carries the token that went out with the page.
    package static func hasToken(_ request: HTTPRequest, _ token: String) -> Bool {
        let sent = request.headers.first(name: "x-csrf-token") ?? ""
        return ConstantTime.isEqual(Array(token.utf8), Array(sent.utf8))
    }

    /// Nothing from outside is loaded, and no other page may frame this one.
    package static func hardened(_ response: HTTPResponse) -> HTTPResponse {
        var response = response
        response.headers.add(
            name: "content-security-policy",
            value: "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        response.headers.add(name: "referrer-policy", value: "no-referrer")
        response.headers.add(name: "cross-origin-resource-policy", value: "same-origin")
        return response
    }
}
