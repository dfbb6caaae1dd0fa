internal import Destinations
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Tokens

/// The find API, which programs use at run time.
extension DestinationAPI {
    enum Version { case v1, v2 }

    private struct Certificate: Encodable {
        var Name: String
        var Content: String
        var `Type`: String
    }

    private struct Owner: Encodable {
        var SubaccountId: String?
        var InstanceId: String?

        /// Null is written, not left out.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(SubaccountId, forKey: .SubaccountId)
            try container.encode(InstanceId, forKey: .InstanceId)
        }

        enum CodingKeys: CodingKey { case SubaccountId, InstanceId }
    }

    private struct Answer: Encodable {
        var owner: Owner?
        var destinationConfiguration: [String: JSONValue]
        var certificates: [Certificate]?
        var authTokens: [AuthToken]?
    }

    func find(_ name: String, _ version: Version, _ request: HTTPRequest, _ caller: Caller) async -> HTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else { return Self.notAllowed("GET") }
        do {
            let query = try QueryItems(request.query)
            let found = try lookup(caller).find(try wanted(name, version, request))
            var answer = Answer(
                owner: version == .v1 ? owner(found.destination, caller) : nil,
                destinationConfiguration: found.properties.mapValues { .string($0) }
            )
            // A Basic token is user and password in other letters.
            let isWithoutSecrets = try query.flag("$skipCredentials")
            if try !query.flag("$skipTokenRetrieval"), !isWithoutSecrets {
                answer.authTokens = try await authTokens(found.properties, request)
            }
            if isWithoutSecrets {
                for key in found.properties.keys where NamedConfiguration.isSecret(key) {
                    answer.destinationConfiguration[key] = nil
                }
            }
            if !found.certificates.isEmpty {
                answer.certificates = found.certificates.map { item in
                    Certificate(
                        Name: item.configuration.name,
                        Content: item.configuration["Content"] ?? "",
                        Type: "CERTIFICATE"
                    )
                }
            }
            if let names = query["$includeMetadata"] ?? query["includeMetadata"] {
                guard names == "owner" else { throw DestinationError("$includeMetadata: only owner can be included") }
                answer.destinationConfiguration["$metadata"] = metadata(found)
            }
            return Self.tagged(JSONLines.encode(answer).dropLast(), request)
        } catch let fault as DestinationError {
            return .text(.badRequest, fault.description)
        } catch DestinationLookup.LookupError.noFragment(let name) {
            return Self.object(.notFound, "Destination fragment with name \(name) was not found")
        } catch {
            return Self.object(.notFound, Self.notFound)
        }
    }

    /// Our own addition: "Check Connection" as an API.
    func check(_ name: String, _ request: HTTPRequest, _ caller: Caller) async -> HTTPResponse {
        guard request.method == "POST" else { return Self.notAllowed("POST") }
        do {
            let found = try lookup(caller).find(DestinationLookup.Query(LevelledName(name: name, level: nil)))
            return .json(await checker.check(found.properties, caller.tenant))
        } catch {
            return Self.object(.notFound, Self.notFound)
        }
    }

    func lookup(_ caller: Caller) -> DestinationLookup {
        DestinationLookup(
            store,
            tenant: caller.tenant.subdomain,
            provider: tokens.tenants[0].subdomain,
            instance: caller.instance
        )
    }

    private func wanted(
        _ name: String,
        _ version: Version,
        _ request: HTTPRequest
    ) throws(DestinationError) -> DestinationLookup.Query {
        var wanted = DestinationLookup.Query(
            version == .v2 ? try LevelledName(name) : LevelledName(name: name, level: nil)
        )
        let names = (request.headers.first(name: "x-fragment-name") ?? "").split(separator: ",")
        guard names.count <= DestinationLookup.maxFragments else {
            throw DestinationError("X-fragment-name: at most \(DestinationLookup.maxFragments) fragments")
        }
        for name in names {
            wanted.fragments.append(try LevelledName(String(name.drop { $0 == " " }.prefix { $0 != " " })))
        }
        switch request.headers.first(name: "x-fragment-optional")?.lowercased() {
        case nil, "false": break
        case "true": wanted.areFragmentsOptional = true
        case .some: throw DestinationError("X-fragment-optional must be true or false")
        }
        if request.headers.contains(name: "x-chain-name") {
            throw DestinationError("X-chain-name: destination chains are not supported by this service")
        }
        return wanted
    }

    private func owner(_ owned: DestinationLookup.Owned, _ caller: Caller) -> Owner {
        let tenant = tokens.tenants.first { $0.subdomain == owned.scope.tenant } ?? caller.tenant
        return Owner(SubaccountId: tenant.subaccount, InstanceId: owned.scope.instance)
    }

    private func metadata(_ found: DestinationLookup.Found) -> JSONValue {
        func list(_ owned: [DestinationLookup.Owned]) -> JSONValue {
            .array(
                owned.map { item in
                    let tenant = tokens.tenants.first { $0.subdomain == item.scope.tenant }
                    return .object([
                        "Name": .string(item.name), "SubaccountId": .string(tenant?.subaccount ?? ""),
                        "InstanceId": item.scope.instance.map { .string($0) } ?? .null,
                    ])
                }
            )
        }
        return .object([
            "owner": .object([
                "destinations": list([found.destination]), "fragments": list(found.fragments),
                "certificates": list(found.certificates.map(\.owner)),
            ])
        ])
    }

    private func authTokens(_ properties: [String: String], _ request: HTTPRequest) async throws -> [AuthToken]? {
        let authentication = try Authentication.of(
            properties,
            tenant: request.headers.first(name: "x-tenant"),
            userToken: request.headers.first(name: "x-user-token")
        )
        switch authentication {
        case .none: return nil
        case .token(let token): return [token]
        case .failure(let text): return [.failure(text)]
        case .retrieval(let retrieval): return [await retriever.token(retrieval)]
        }
    }

    /// With an entity tag, or without a body where the client has this version already.
    static func tagged(_ body: some Swift.Collection<UInt8>, _ request: HTTPRequest, tag: String? = nil) -> HTTPResponse
    {
        let tag = tag ?? EntityTag.of(Array(body))
        let verdict = EntityTag.verdict(
            tag,
            ifMatch: request.headers.first(name: "if-match"),
            ifNoneMatch: request.headers.first(name: "if-none-match")
        )
        let headers: HTTPHeaders = ["etag": tag]
        switch verdict {
        case .proceed: return HTTPResponse(status: .ok, headers: headers, body: Array(body))
        case .notModified: return HTTPResponse(status: .notModified, headers: headers, body: [])
        case .failed: return HTTPResponse(status: .preconditionFailed, headers: headers, body: [])
        }
    }
}
