internal import AdminProtocol
internal import ConfigurationEditing
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `domainMappings`: cookie domains of a subaccount (SAP Help, "Domain Mappings").
struct DomainMappingsEndpoint {
    let subaccount: APISubaccount
    let call: APICall

    private struct Document: Encodable {
        var virtualDomain: String
        var internalDomain: String
        var _links: [String: APILink]
    }

    private static let key = YAMLStep.key("cookie-domains")
    private var path: String { SubaccountDocument.path(subaccount, call.base) + "/domainMappings" }

    /// - Parameter rest: of the path, behind `domainMappings`: nothing, or an internal domain.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        let store = try ConfigurationStore(subaccount.status.file, main: subaccount.main)
        guard let name = rest.first else { return try await all(store) }
        try call.allow("PUT", "DELETE")
        guard rest.count == 1, try Self.index(name, store.value) != nil else {
            throw APIFailure.notFound("Domain mapping with value '\(LogText.escaped(name.utf8))' does not exist")
        }
        if call.method == "DELETE" {
            try await call.change(store, "remove cookie domain \(LogText.escaped(name.utf8))") { text in
                guard let index = Self.index(name, text.value) else { return }
                let isLast = text.value["cookie-domains"]?.items.count == 1
                try text.apply(.remove(isLast ? [Self.key] : [Self.key, .item(index)]))
            }
            return .empty
        }
        let (inner, outer) = try body()
        try await call.change(store, "change cookie domain \(LogText.escaped(name.utf8))") { text in
            guard let index = Self.index(name, text.value) else { return }
            try text.apply(.set([Self.key, .item(index), .key("internal")], .text(inner)))
            try text.apply(.set([Self.key, .item(index), .key("virtual")], .text(outer)))
        }
        return .empty
    }

    private static func index(_ name: String, _ value: YAMLValue) -> Int? {
        value["cookie-domains"]?.items.firstIndex { $0["internal"]?.scalar?.lowercased() == name.lowercased() }
    }

    private func all(_ store: ConfigurationStore) async throws -> HTTPResponse {
        try call.allow("GET", "POST", "DELETE")
        switch call.method {
        case "GET":
            return .json(
                (try store.value["cookie-domains"]?.items ?? []).map { item in
                    let name = item["internal"]?.scalar ?? ""
                    return Document(
                        virtualDomain: item["virtual"]?.scalar ?? "",
                        internalDomain: name,
                        _links: ["self": APILink(href: "\(path)/\(PercentText.encode(name))")]
                    )
                }
            )
        case "POST":
            let (inner, outer) = try body()
            guard Self.index(inner, try store.value) == nil else {
                throw APIFailure.conflict("Domain mapping '\(LogText.escaped(inner.utf8))' exists already")
            }
            let item = YAMLValue.mapping([.init("internal", .text(inner)), .init("virtual", .text(outer))])
            try await call.change(
                store,
                "add cookie domain \(LogText.escaped(inner.utf8))",
                .append([Self.key], item)
            )
            var response = HTTPResponse.created
            response.headers.add(name: "location", value: "\(path)/\(PercentText.encode(inner))")
            return response
        default:
            guard try store.value["cookie-domains"] != nil else { return .empty }
            try await call.change(store, "remove all cookie domains", .remove([Self.key]))
            return .empty
        }
    }

    private func body() throws -> (inner: String, outer: String) {
        var body = try APIBody(call.request)
        let domains = (try body.required("internalDomain"), try body.required("virtualDomain"))
        try body.finish()
        return domains
    }
}
