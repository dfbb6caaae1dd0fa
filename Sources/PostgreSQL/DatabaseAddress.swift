internal import TextFormats

/// Where a database is, and as whom one logs on there.
package struct DatabaseAddress: Sendable, Equatable {
    /// `postgresql://user@host,other/name?target_session_attrs=read-write&sslmode=verify-full` (libpq, "Connection URIs").
    package let url: String
    package let password: String?

    package init(url: String, password: String?) { (self.url, self.password) = (url, password) }

    /// Without a password in it, for people.
    package var shown: String {
        guard let at = url.lastIndex(of: "@"), let start = url.firstRange(of: "://")?.upperBound, start < at else {
            return url
        }
        let user = url[start..<at].prefix { $0 != ":" }
        return String(url[..<start] + user + url[at...])
    }

    /// As whom one logs on; nil where the URL does not say so.
    package var user: String? {
        let parts = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count > 1, let name = parts[0].split(separator: ":").first else {
            return parameters("user").first.map(String.init)
        }
        return PercentText.decode(String(name)) ?? String(name)
    }

    /// What stands between `://` and the name of the database.
    private var authority: Substring {
        guard let start = url.firstRange(of: "://")?.upperBound else { return "" }
        return url[start...].prefix { $0 != "/" && $0 != "?" }
    }

    package var hasPassword: Bool {
        let parts = authority.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count > 1 && parts[0].contains(":") || url.contains("password=")
    }

    /// All of its hosts are this machine.
    package var isLocal: Bool {
        let hosts = (authority.split(separator: "@", omittingEmptySubsequences: false).last ?? "").split(separator: ",")
        return (hosts + parameters("host") + parameters("hostaddr")).allSatisfy { host in
            ["localhost", "127.0.0.1", "[::1]", "::1"].contains { host == $0 || host.hasPrefix($0 + ":") }
                || host.hasPrefix("%2F") || host.hasPrefix("%2f") || host.hasPrefix("/")
        }
    }

    /// Whoever answers has to show a certificate for its name, whatever else the URL says.
    package var isVerified: Bool {
        let modes = parameters("sslmode")
        return !modes.isEmpty && modes.allSatisfy { $0 == "verify-full" }
    }

    /// Each of the values that a parameter of the URL lists.
    private func parameters(_ name: String) -> [Substring] {
        var found: [Substring] = []
        for part in url.split(separator: "?").dropFirst() {
            for parameter in part.split(separator: "&") where parameter.hasPrefix("\(name)=") {
                let value = parameter.dropFirst(name.utf8.count + 1).replacing("%2C", with: ",")
                found += value.split(separator: ",")
            }
        }
        return found
    }

    /// What libpq is told beside the URL, which may say otherwise: limits, and that only a server that takes changes will do.
    var parameters: [(String, String)] {
        var parameters = [
            ("connect_timeout", "5"), ("application_name", "connectord"), ("keepalives_idle", "10"),
            ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "15000"),
            ("target_session_attrs", "read-write"), ("dbname", url),
        ]
        if let password { parameters.append(("password", password)) }
        return parameters
    }
}
