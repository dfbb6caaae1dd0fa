internal import AdminProtocol
internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// What the API says about the connector as a whole, which is what its main file says: `connector` and what is below it.
struct ConnectorEndpoint {
    let file: String
    let reload: @Sendable (String) async -> AdminMessage.Reload

    /// - Parameter rest: of the path, behind `connector`; `onPremise` and `onPremises` are the same.
    func answer(_ request: HTTPRequest, _ method: String, _ rest: [String]) async throws -> HTTPResponse {
        let store = try ConfigurationStore(file)
        switch rest {
        case []:
            try ConfigurationAPI.allow(["GET", "PUT"], method)
            if method == "PUT" { try await describe(store, request) }
            return .json(ConnectorDocument(description: try store.value["description"]?.scalar ?? ""))
        case ["haRole"]:
            try ConfigurationAPI.allow(["GET"], method)
            return .json("master")
        case ["proxy"]:
            try ConfigurationAPI.allow(["GET", "PUT", "DELETE"], method)
            if method == "GET" { return .json(ProxyDocument(try store.value["tunnel"]?["http-proxy"] ?? .nothing)) }
            try await setProxy(store, method == "PUT" ? request : nil)
            return .empty
        case ["onPremise", "truststore"], ["onPremises", "truststore"]:
            try ConfigurationAPI.allow(["GET", "PATCH"], method)
            if method == "GET" { return .json(TrustStoreDocument(try store.value["backend-trust"] ?? .nothing)) }
            try await setTrust(store, request)
            return .empty
        default:
            let path = (["connector"] + rest).joined(separator: "/")
            throw APIFailure.invalid("this connector has no \(LogText.escaped(path.utf8)) yet")
        }
    }

    private func change(_ store: ConfigurationStore, _ what: String, _ change: YAMLChange) async throws {
        try await ConfigurationAPI.takeEffect(try store.change { try $0.apply(change) }, what, reload)
    }

    // MARK: Description

    private struct ConnectorDocument: Encodable {
        var ha = "master"
        var description: String
    }

    private func describe(_ store: ConfigurationStore, _ request: HTTPRequest) async throws {
        var body = try APIBody(request)
        guard let description = try body.text("description") else {
            throw APIFailure.invalid("description must be a text")
        }
        try body.finish()
        try await change(store, "change description", .set([.key("description")], .text(description)))
    }

    // MARK: Proxy

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

    /// - Parameter request: nil for none any more; so says an empty object, too.
    private func setProxy(_ store: ConfigurationStore, _ request: HTTPRequest?) async throws {
        var address = ""
        if let request {
            var body = try APIBody(request)
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
        try await change(store, "change proxy", .set([.key("tunnel"), .key("http-proxy")], .text(address)))
    }

    // MARK: Trust store

    /// SAP Help, "Trust Store (Back-End Certificates)"; the list is called as it is on the wire.
    private struct TrustStoreDocument: Encodable {
        struct Certificate: Encodable {
            var alias: String
            var subjectDN: String
            var issuer: String
            var notAfterTimeStamp: Int
        }

        var trustAllBackends: Bool
        var trustedBackends: [Certificate] = []

        init(_ value: YAMLValue) {
            trustAllBackends = value.flag("trust-all", false)
            for (index, file) in (value["certificates"]?.items ?? []).compactMap(\.scalar).enumerated() {
                // One that cannot be read now is named by check-config; it trusts nobody.
                for (number, details) in ((try? CertificateDetails.all(.file(Credential.path(file)))) ?? [])
                    .enumerated()
                {
                    trustedBackends.append(
                        Certificate(
                            alias: "trustedbackend.\(index + 1).\(number + 1)",
                            subjectDN: details.subject,
                            issuer: details.issuer,
                            notAfterTimeStamp: details.notAfter * 1000
                        )
                    )
                }
            }
        }
    }

    private func setTrust(_ store: ConfigurationStore, _ request: HTTPRequest) async throws {
        var body = try APIBody(request)
        guard let trustsAll = try body.flag("trustAllBackends") else {
            throw APIFailure.invalid("trustAllBackends is missing")
        }
        try body.finish()
        guard TrustStoreDocument(try store.value["backend-trust"] ?? .nothing).trustAllBackends != trustsAll else {
            return
        }
        try await change(
            store,
            "trust all back ends: \(trustsAll)",
            .set([.key("backend-trust"), .key("trust-all")], .word("\(trustsAll)"))
        )
    }
}
