internal import ConfigurationEditing
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
            return .json(ProxyDocument(try store.value["tunnel"]?["http-proxy"] ?? .nothing))
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

        init(_ value: YAMLValue) {
            guard let parsed = (value.scalar ?? value["address"]?.scalar).flatMap({ HostPort.parse($0) }) else {
                return
            }
            (host, port) = (parsed.host, parsed.port.map { String($0) })
            user = value["user"]?.scalar
            if user != nil { password = "***" }
        }
    }

    /// An empty object says that there is none any more, too.
    private func set(isRemoved: Bool) async throws {
        var address = ""
        if !isRemoved {
            var body = try APIBody(call.request)
            if !body.isEmpty {
                address = "\(HostPort.bracketed(try body.required("host"))):\(try body.required("port"))"
            }
            for name in ["user", "password"] {
                try body.refuse(
                    name,
                    "a password belongs in a file of its own: set tunnel.http-proxy in the connector's file"
                )
            }
            try body.finish()
        }
        if address.isEmpty, ProxyDocument(try store.value["tunnel"]?["http-proxy"] ?? .nothing).host == nil { return }
        try await call.change(store, "change proxy", .set([.key("tunnel"), .key("http-proxy")], .text(address)))
    }
}
