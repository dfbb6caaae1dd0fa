internal import AdminAccess
internal import ConfigurationEditing
internal import Cryptography
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// What the API says about the connector as a whole, which is what its main file says: `connector` and what is below it.
struct ConnectorEndpoint {
    let file: String
    let call: APICall

    /// - Parameter rest: of the path, behind `connector`; `onPremise` and `onPremises` are the same.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        let store = try ConfigurationStore(file)
        switch rest.first {
        case nil:
            try call.allow("GET", "PUT")
            if call.method == "PUT" { try await describe(store) }
            return .json(ConnectorDocument(description: try store.value["description"]?.scalar ?? ""))
        case "haRole" where rest.count == 1: return try role()
        case "ha": return try pair(Array(rest.dropFirst()))
        case "proxy" where rest.count == 1: return try await ProxyEndpoint(store: store, call: call).answer()
        case "authentication":
            return try await AuthenticationEndpoint(call: call).answer(Array(rest.dropFirst()))
        case "ui" where rest == ["ui", "uiCertificate"]:
            guard let certificate = call.host.administration?.certificate else {
                throw APIFailure.failed("administration is not served; the log says why")
            }
            let place = PageCertificatePlace(certificate: certificate)
            return try await CertificateEndpoint(call: call, place: place).answer()
        case "ui" where rest == ["ui", "cipherSuites"]:
            try call.allow("GET")
            return try Self.cipherSuites()
        case "onPremise", "onPremises": return try await onPremises(Array(rest.dropFirst()), store)
        case "logAndTrace" where rest.count == 1: return try await LogEndpoint(store: store, call: call).answer()
        case "alerting" where rest.count == 1:
            return try await AlertingEndpoint(store: store, call: call).alerting()
        case "email" where rest.count == 1: return try AlertingEndpoint(store: store, call: call).email()
        case "auditLog" where rest.count == 1: return try await LogEndpoint(store: store, call: call).audit()
        default: throw APIFailure.unsupported(["connector"] + rest)
        }
    }

    static func cipherSuites() throws -> HTTPResponse {
        .json(try TLSContext(TLSConfiguration(role: .server, minimumVersion: .tls12)).cipherSuites)
    }

    private func onPremises(_ rest: [String], _ store: ConfigurationStore) async throws -> HTTPResponse {
        switch rest.first {
        case "truststore":
            return try await TrustStoreEndpoint(store: store, call: call).answer(Array(rest.dropFirst()))
        case "ppSettings" where rest.count == 1:
            return try await PropagationEndpoint(store: store, call: call).settings()
        case "subjectPatternRules":
            return try await PropagationEndpoint(store: store, call: call).rules(Array(rest.dropFirst()))
        case "ppCaCertificate" where rest.count == 1, "systemCertificate" where rest.count == 1:
            guard let folder = call.host.administration?.settings.folder else {
                throw APIFailure.failed("administration is not served, so there is no folder for certificates")
            }
            let place = OnPremisesCertificatePlace(
                kind: rest == ["ppCaCertificate"] ? .ca : .system,
                store: store,
                call: call,
                folder: folder
            )
            return try await CertificateEndpoint(call: call, place: place).answer()
        default: throw APIFailure.unsupported(["connector", "onPremises"] + rest)
        }
    }

    // MARK: Description

    private struct ConnectorDocument: Encodable {
        var ha = "master"
        var description: String
    }

    private func describe(_ store: ConfigurationStore) async throws {
        var body = try APIBody(call.request)
        guard let description = try body.text("description") else {
            throw APIFailure.invalid("description must be a text")
        }
        try body.finish()
        try await call.change(store, "change description", .set([.key("description")], .text(description)))
    }

    // MARK: High availability

    /// A JSON text alone; there is one connector, and it is the master.
    private func role() throws -> HTTPResponse {
        try call.allow("GET", "POST")
        let isMaster = call.host.isMaster()
        guard call.method == "POST" else { return .json(isMaster ? "master" : "shadow") }
        switch try? JSONLines.decode(String.self, call.request.body) {
        case "master" where isMaster: throw APIFailure.conflict("the role is master already")
        // The service decides, by who came last; this one takes over by itself when the other one goes.
        case "master":
            throw APIFailure.conflict("another connector has the role: stop that one, or start this one again")
        case "shadow" where !isMaster: throw APIFailure.conflict("the role is shadow already")
        case "shadow": throw APIFailure.conflict("there is no connected shadow that could take the role of master")
        default: throw APIFailure.invalid("the body must be \"master\" or \"shadow\"")
        }
    }

    private struct PairConfiguration: Encodable {
        var haEnabled = false
        var haPort = 0
        var allowedShadowHost = ""
    }

    private func pair(_ rest: [String]) throws -> HTTPResponse {
        switch rest {
        case ["master", "config"] where call.method == "GET": return .json(PairConfiguration())
        case ["master", "state"] where call.method == "GET": return .json(["state": "ALONE", "shadowHost": ""])
        case _ where rest.first == "shadow": throw APIFailure.forbidden("this instance is a master")
        default: throw APIFailure.unsupported(["connector", "ha"] + rest)
        }
    }
}
