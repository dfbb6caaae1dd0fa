internal import AdminAccess
internal import ConfigurationEditing
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `proxy`: through which the service is dialled.
struct ProxyEndpoint {
    let store: ConfigurationStore
    let call: APICall

    func answer() async throws -> HTTPResponse {
        try call.allow("GET", "PUT", "DELETE")
        guard call.method != "GET" else {
            return .json(ProxyDocument(try store.value[Self.place] ?? .nothing))
        }
        try await set(isRemoved: call.method == "DELETE")
        return .empty
    }

    /// SAP Help, "Proxy Settings": the port is sent as a number or a text and comes back as a text.
    private struct ProxyDocument: Encodable {
        var host: String?
        var port: String?
        var user: String?
        var password: String?

        static let hidden = "***"

        init(_ value: YAMLValue) {
            guard let parsed = (value.scalar ?? value["address"]?.scalar).flatMap({ HostPort.parse($0) }) else {
                return
            }
            (host, port) = (parsed.host, parsed.port.map { String($0) })
            user = value["user"]?.scalar
            if user != nil { password = Self.hidden }
        }
    }

    private static let place: [YAMLStep] = [.key("tunnel"), .key("http-proxy")]

    private struct Wanted {
        var address = ""
        var user = ""
        /// Nil where the one of before stays.
        var password: String?
    }

    /// An empty object says that there is none any more, too.
    private func wanted() throws -> Wanted {
        var body = try APIBody(call.request)
        guard !body.isEmpty else { return Wanted() }
        let address = "\(HostPort.bracketed(try body.required("host"))):\(try body.required("port"))"
        let password = try body.text("password").flatMap { $0.isEmpty || $0 == ProxyDocument.hidden ? nil : $0 }
        guard password?.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) ?? true else {
            throw APIFailure.invalid("password must have no control characters")
        }
        let wanted = Wanted(
            address: address,
            user: try body.text("user") ?? "",
            password: password
        )
        try body.finish()
        return wanted
    }

    private func set(isRemoved: Bool) async throws {
        let wanted = isRemoved ? Wanted() : try wanted()
        let old = try store.value[Self.place] ?? .nothing
        if wanted.address.isEmpty, ProxyDocument(old).host == nil { return }
        guard !wanted.user.isEmpty else {
            guard wanted.password == nil else { throw APIFailure.invalid("user is missing: whose password is it?") }
            try await call.change(store, "change proxy", .set(Self.place, .text(wanted.address)))
            return drop(old)
        }
        guard let password = wanted.password else {
            // It was told for that proxy, and goes to no other.
            guard let file = old["password-file"]?.scalar, old["user"]?.scalar == wanted.user,
                old["address"]?.scalar == wanted.address
            else {
                throw APIFailure.invalid("password is missing")
            }
            return try await set(wanted, file)
        }
        guard let folder = call.host.administration?.settings.folder else {
            throw APIFailure.failed("administration is not served, so there is no folder for a password")
        }
        let fresh = FreshFile.path("\(folder)/\(Self.fileName)")
        do {
            try PrivateFile.makeFolder(folder)
            try AtomicFile.write(password, to: fresh, mode: 0o600)
            try await set(wanted, fresh)
        } catch {
            try? PlainFile.remove(fresh)
            throw error
        }
        drop(old)
    }

    private func set(_ wanted: Wanted, _ file: String) async throws {
        let value = YAMLValue.mapping([
            .init("address", .text(wanted.address)), .init("user", .text(wanted.user)),
            .init("password-file", .text(file)),
        ])
        try await call.change(store, "change proxy", .set(Self.place, value))
    }

    private static let fileName = "proxy-password"

    /// What the API has written has no other use.
    private func drop(_ old: YAMLValue) {
        guard let file = old["password-file"]?.scalar, let folder = call.host.administration?.settings.folder,
            file.hasPrefix("\(folder)/\(Self.fileName).")
        else { return }
        try? PlainFile.remove(file)
    }
}
