internal import AdminProtocol
internal import ConfigurationEditing
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// `subaccounts`: the connectors of this process, each with a file of its own (SAP Help, "Subaccount").
struct SubaccountsEndpoint {
    let call: APICall

    /// - Parameter rest: of the path, behind `subaccounts`.
    func answer(_ rest: [String]) async throws -> HTTPResponse {
        switch rest.count {
        case 0:
            try call.allow("GET", "POST")
            if call.method == "POST" { return try await NewSubaccount(call: call).add() }
            return .json(await call.subaccounts().map { SubaccountDocument($0, call.base, isWhole: false) })
        case 1 where rest == ["corrupted"]:
            // A file that cannot be used keeps the connector from starting, so there are none.
            try call.allow("GET")
            return .json([String]())
        case 1: throw APIFailure.notFound("there is no such path")
        default: return try await answer(try await find(rest[0], rest[1]), Array(rest[2...]))
        }
    }

    private func find(_ region: String, _ subaccount: String) async throws -> APISubaccount {
        let found = await call.subaccounts().first { $0.region == region && $0.status.subaccount == subaccount }
        guard let found else {
            throw APIFailure.notFound(
                "Subaccount with value '\(LogText.escaped("\(subaccount)@\(region)".utf8))' does not exist"
            )
        }
        return found
    }

    private func answer(_ subaccount: APISubaccount, _ rest: [String]) async throws -> HTTPResponse {
        switch rest.first {
        case nil:
            try call.allow("GET", "PUT", "DELETE")
            switch call.method {
            case "GET": return .json(SubaccountDocument(subaccount, call.base, isWhole: true))
            case "PUT": return try await change(subaccount)
            default: return try await remove(subaccount)
            }
        case "state" where rest.count == 1:
            try call.allow("PUT")
            return try await setState(subaccount)
        case "validity" where rest.count == 1:
            try call.allow("POST")
            try await NewSubaccount(call: call).renew(subaccount)
            return .json(SubaccountDocument(try await again(subaccount), call.base, isWhole: true))
        case "trust":
            let endpoint = TrustEndpoint(store: try store(subaccount), call: call, file: subaccount.status.file)
            return try await endpoint.answer(Array(rest.dropFirst()))
        case "systemMappings" where rest.count <= 4 && (rest.count < 3 || rest[2] == "resources"):
            return try await MappingsEndpoint(subaccount: subaccount, call: call).answer(Array(rest.dropFirst()))
        case "domainMappings":
            return try await DomainMappingsEndpoint(subaccount: subaccount, call: call).answer(Array(rest.dropFirst()))
        case "recovery": throw APIFailure.gone("recovery subaccounts are no more")
        default: throw APIFailure.unsupported(rest)
        }
    }

    /// As it is after a change.
    private func again(_ subaccount: APISubaccount) async throws -> APISubaccount {
        try await find(subaccount.region, subaccount.status.subaccount)
    }

    // MARK: Changes

    private func store(_ subaccount: APISubaccount) throws -> ConfigurationStore {
        try ConfigurationStore(subaccount.status.file, main: subaccount.main)
    }

    /// What is absent stays as it is; an empty text clears.
    private func change(_ subaccount: APISubaccount) async throws -> HTTPResponse {
        var body = try APIBody(call.request)
        let (location, renews) = (try body.text("locationID"), try body.flag("autoCertRenewal"))
        let texts = [("description", try body.text("description")), ("display-name", try body.text("displayName"))]
        try body.finish()
        guard location == nil || location == subaccount.status.locationID else {
            throw APIFailure.invalid(
                "the certificate is for location ID \"\(subaccount.status.locationID)\": enrol again with a token for another one"
            )
        }
        try await call.change(try store(subaccount), "change subaccount \(subaccount.status.subaccount)") { text in
            for (key, value) in texts {
                guard let value else { continue }
                if !value.isEmpty || key == "description" {
                    try text.apply(.set([.key(key)], .text(value)))
                } else if text.value[key] != nil {
                    try text.apply(.remove([.key(key)]))
                }
            }
            if let renews { try text.apply(.set([.key("tunnel"), .key("renew")], .word("\(renews)"))) }
        }
        return .json(SubaccountDocument(try await again(subaccount), call.base, isWhole: true))
    }

    private func setState(_ subaccount: APISubaccount) async throws -> HTTPResponse {
        var body = try APIBody(call.request)
        guard let isWanted = try body.flag("connected") else { throw APIFailure.invalid("connected is missing") }
        try body.finish()
        let store = try store(subaccount)
        guard try store.value["tunnel"]?.flag("active", true) != isWanted else { return .empty }
        try await call.change(store, isWanted ? "connect" : "disconnect") { text in
            let place: [YAMLStep] = [.key("tunnel"), .key("active")]
            try text.apply(isWanted ? .remove(place) : .set(place, .word("false")))
        }
        await call.host.settle(subaccount.status.file)
        return .empty
    }

    private func remove(_ subaccount: APISubaccount) async throws -> HTTPResponse {
        guard subaccount.status.file != subaccount.main else {
            throw APIFailure.conflict(
                "\(subaccount.main) says how this connector runs as well, and stays: put another subaccount in it, or stop the service"
            )
        }
        try store(subaccount).retire()
        try await call.reload("remove subaccount \(subaccount.status.subaccount)")
        return .empty
    }
}
