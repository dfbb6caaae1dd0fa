internal import Cryptography
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import PageAccess
internal import TextFormats

/// Who may use the cockpit: whoever reaches it on loopback under one of its names, or knows the password; and changes only from
/// its own page.
package struct CockpitAccess: Sendable {
    /// Under which browsers may call it, in lower case: other names would be those of a page that plays with the name
    /// system to read what is on loopback ("DNS rebinding").
    let hostNames: Set<String>
    /// Nil where loopback is enough.
    let password: String?
    /// Goes out with the page and comes back with every change.
    let changeToken: String

    package init(hostNames: [String], password: String?) throws {
        self.hostNames = Set(hostNames.map { $0.lowercased() } + ["localhost", "127.0.0.1", "[::1]"])
        self.password = password
        changeToken = Hexadecimal.text(try SecureRandom.bytes(16))
    }

    /// Whether the request came under one of the page's names.
    func isNamed(_ request: HTTPRequest) -> Bool { hostNames.contains(request.host) }

    /// Whether the request changes nothing, or comes from the page itself.
    func isOwnChange(_ request: HTTPRequest) -> Bool {
        if request.method == "GET" || request.method == "HEAD" { return true }
        return PageOrigin.hasToken(request, changeToken) && PageOrigin.isOwn(request)
    }

    /// Whether a value of `Authorization` has the password: Basic, with any user name.
    func knows(_ authorization: String) -> Bool {
        guard let password, authorization.prefix(6).lowercased() == "basic ",
            let bytes = Base64.decode(String(authorization.dropFirst(6))),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        return ConstantTime.isEqual(Array(password.utf8), Array(bytes[(colon + 1)...]))
    }
}
