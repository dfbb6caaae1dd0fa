internal import ControlProtocol
internal import NIOHTTP1
internal import TunnelCore

/// Who may use the cockpit: whoever reaches it on loopback under one of its names, or knows the password; and changes only from
/// its own page.
struct CockpitAccess: Sendable {
    /// Under which browsers may call it, in lower case: other names would be those of a page that plays with the name
    /// system to read what is on loopback ("DNS rebinding").
    let hostNames: Set<String>
    /// Nil where loopback is enough.
    let password: String?
    /// Goes out with the page and comes back with every change.
    let changeToken: String

    init(hostNames: [String], password: String?) throws {
        self.hostNames = Set(hostNames.map { $0.lowercased() } + ["localhost", "127.0.0.1", "[::1]"])
        self.password = password
        changeToken = Hexadecimal.text(try SecureRandom.octets(16))
    }

    enum Verdict: Sendable, Equatable {
        case allowed
        case wrongHost
        case wrongPassword
        case foreignChange
    }

    func judge(_ request: HTTPRequest) -> Verdict {
        guard hostNames.contains(request.host) else { return .wrongHost }
        if let password, !Self.knows(password, request.headers.first(name: "authorization")) { return .wrongPassword }
        if request.method == "GET" || request.method == "HEAD" { return .allowed }
        guard Self.isSame(changeToken, request.headers.first(name: "x-csrf-token") ?? ""), isOwnOrigin(request) else {
            return .foreignChange
        }
        return .allowed
    }

    /// Browsers say from where a change comes; what says nothing has the token all the same.
    private func isOwnOrigin(_ request: HTTPRequest) -> Bool {
        if let site = request.headers.first(name: "sec-fetch-site"), site != "same-origin" { return false }
        guard let origin = request.headers.first(name: "origin") else { return true }
        let host = request.headers.first(name: "host") ?? ""
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Basic, with any user name.
    private static func knows(_ password: String, _ authorization: String?) -> Bool {
        guard let authorization, authorization.prefix(6).lowercased() == "basic ",
            let octets = Base64.decode(String(authorization.dropFirst(6))),
            let colon = octets.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        return ConstantTime.isEqual(Array(password.utf8), Array(octets[(colon + 1)...]))
    }

    private static func isSame(_ one: String, _ other: String) -> Bool {
        ConstantTime.isEqual(Array(one.utf8), Array(other.utf8))
    }
}
