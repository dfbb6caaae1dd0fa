internal import ConfigurationEditing
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `subaccounts/R/S/trust`: whose users count (SAP Help, "Subaccount"). The identity providers are those of
/// `principal-propagation.trust`; trusted applications are not told apart here, so there are none.
struct TrustEndpoint {
    let store: ConfigurationStore
    let call: APICall
    /// The connector's own file.
    let file: String

    private static let list: [YAMLStep] = [.key("principal-propagation"), .key("trust")]

    /// - Parameter rest: of the path, behind `trust`.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        switch rest.first {
        case nil: return try await synchronisation()
        case "idps" where rest.count <= 2: return try await providers(rest.dropFirst().first)
        case "apps" where rest.count == 1:
            try call.allow("GET")
            return .json([String]())
        default: throw APIFailure.notFound("there is no \(LogText.escaped(rest.joined(separator: "/").utf8))")
        }
    }

    // MARK: Keys

    private var issuers: [YAMLValue] { get throws { try store.value[Self.list]?.items ?? [] } }

    private func synchronisation() async throws -> HTTPResponse {
        try call.allow("GET", "PUT", "POST")
        let isFetched = try issuers.contains { $0["keys"]?.scalar?.contains("://") ?? false }
        switch call.method {
        case "GET": return .json(["autoSyncTrustEnabled": isFetched])
        case "POST":
            // Without anything to fetch there is nothing to do, as with SAP's product.
            call.host.fetchKeys(file)
            return .empty
        default: break
        }
        var body = try APIBody(call.request)
        guard let isWanted = try body.flag("autoSyncTrustEnabled") else {
            throw APIFailure.invalid("autoSyncTrustEnabled is missing")
        }
        try body.finish()
        guard isWanted != isFetched else { return .empty }
        throw APIFailure.invalid(
            isWanted
                ? "there is no trust configuration to synchronise: principal-propagation.trust names no issuer whose keys have a URL"
                : "keys that have a URL are fetched each hour: name a file in principal-propagation.trust to pin them"
        )
    }

    // MARK: Identity providers

    private struct Provider: Encodable {
        var id: Int
        var name: String
        var description: String
        var enabled: Bool

        init(_ id: Int, _ item: YAMLValue) {
            self.id = id
            name = item["issuer"]?.scalar ?? ""
            description = item["keys"]?.scalar ?? ""
            enabled = item.flag("active", true)
        }
    }

    private func providers(_ name: String?) async throws -> HTTPResponse {
        let all = try issuers.enumerated().map { Provider($0.offset, $0.element) }
        guard let name else {
            try call.allow("GET")
            return .json(all)
        }
        guard let provider = all.first(where: { String($0.id) == name }) else {
            throw APIFailure.notFound(
                "there is no identity provider \(LogText.escaped(name.utf8)); there are \(all.count)"
            )
        }
        try call.allow("GET", "PUT")
        guard call.method == "PUT" else { return .json(provider) }
        var body = try APIBody(call.request)
        guard let isWanted = try body.flag("enabled") else { throw APIFailure.invalid("enabled is missing") }
        try body.finish()
        guard isWanted != provider.enabled else { return .empty }
        let place = Self.list + [.item(provider.id), .key("active")]
        try await call.change(
            store,
            "\(isWanted ? "trust" : "trust no more") \(LogText.escaped(provider.name.utf8))",
            isWanted ? .remove(place) : .set(place, .word("false"))
        )
        return .empty
    }
}
