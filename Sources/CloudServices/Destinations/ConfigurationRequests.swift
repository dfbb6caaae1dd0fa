internal import Destinations
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Telemetry
internal import TextFormats

/// Create, read, update, delete and list in one collection.
struct ConfigurationRequests: Sendable {
    /// Configurations in one request.
    static let maxBulk = 1000

    let store: any DestinationStore
    let collection: Collection
    let audit: AuditLog

    /// One line of the answer to a request with several configurations.
    private struct BulkResponse: Encodable {
        var name: String
        var status: Int
        var etag: String?
        var cause: String?
    }

    private struct Count: Encodable { var Count: Int }
    private struct Removal: Encodable {
        var name: String
        var status: String
        var reason: String?
    }
    private struct Removals: Encodable {
        var Count: Int
        var Summary: [Removal]
    }

    /// - Parameter path: what follows the collection's name: nothing, a name, or a name and a part of it.
    func answer(_ request: HTTPRequest, _ path: [String]) -> HTTPResponse {
        do {
            switch (path.count, request.method) {
            case (0, "GET"), (0, "HEAD"): return try list(request)
            case (0, "POST"): return try write(request, isNew: true)
            case (0, "PUT"): return try write(request, isNew: false)
            case (0, "DELETE") where collection.kind != .fragments: return try removeMany(request)
            case (0, _):
                let isBulk = collection.kind != .fragments
                return DestinationAPI.notAllowed("GET, HEAD, POST, PUT" + (isBulk ? ", DELETE" : ""))
            case (1, "GET"), (1, "HEAD"): return read(path[0], request)
            case (1, "DELETE"): return try remove(path[0])
            case (1, _): return DestinationAPI.notAllowed("GET, HEAD, DELETE")
            default: return try part(path[0], path[1], request)
            }
        } catch let fault as DestinationError {
            return failure(.badRequest, fault.description)
        } catch {
            return failure(.internalServerError, "The configuration could not be written: \(error)")
        }
    }

    /// The documented form: a text for certificates, an object where clients look into it.
    private func failure(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        collection.kind == .certificates ? HTTPResponse.text(status, text) : DestinationAPI.object(status, text)
    }

    // MARK: Reading

    private func list(_ request: HTTPRequest) throws(DestinationError) -> HTTPResponse {
        let query: ListQuery
        do {
            query = try ListQuery(request.query)
        } catch {
            return HTTPResponse.text(.badRequest, error.description)
        }
        let entries = store.all(collection.kind, collection.scope)
        let result = query.apply(entries, collection: collection.name, now: WallClock.seconds())
        var response = HTTPResponse.json(result.items)
        for header in result.headers { response.headers.add(name: header.name, value: header.value) }
        return response
    }

    private func read(_ name: String, _ request: HTTPRequest) -> HTTPResponse {
        guard let entry = store.entry(collection.kind, collection.scope, name) else { return missing() }
        let configuration = entry.configuration
        return DestinationAPI.tagged(
            JSONLines.encode(configuration.properties),
            request,
            tag: configuration.entityTag
        )
    }

    private func missing() -> HTTPResponse {
        guard collection.kind != .fragments else { return DestinationAPI.object(.notFound, DestinationAPI.notFound) }
        // The same bytes, but a text: the OpenAPI document knows no object here.
        var response = DestinationAPI.object(.notFound, DestinationAPI.notFound)
        response.contentType = "text/plain;charset=UTF-8"
        return response
    }

    // MARK: Writing

    private func write(_ request: HTTPRequest, isNew: Bool) throws -> HTTPResponse {
        guard !request.body.isEmpty else { throw DestinationError("The request body is missing") }
        let value: JSONValue
        do {
            value = try JSONLines.decode(JSONValue.self, request.body)
        } catch {
            throw DestinationError("The request body is \(JSONLines.fault(error))")
        }
        guard case .array(let items) = value else { return try writeOne(value, isNew) }
        guard collection.kind != .fragments else { throw DestinationError("A JSON object is needed, not an array") }
        guard items.count <= Self.maxBulk else {
            throw DestinationError("At most \(Self.maxBulk) configurations in one request")
        }
        let results = items.map { writeBulk($0, isNew) }
        let isGood = results.allSatisfy { $0.status < 300 }
        return .json(results, isGood ? (isNew ? .created : .ok) : .multiStatus)
    }

    private func writeOne(_ value: JSONValue, _ isNew: Bool) throws -> HTTPResponse {
        try Self.refuseGeneration(value)
        let configuration = try NamedConfiguration(collection.kind, value)
        switch try store(configuration, isNew) {
        case .done: return isNew ? HTTPResponse.text(.created, "") : .json(Count(Count: 1))
        case .missing: return collection.kind == .certificates ? missing() : failure(.notFound, DestinationAPI.notFound)
        case .exists:
            let text = "\(collection.kind == .fragments ? "Fragment" : "Configuration") with this name already exists"
            guard collection.kind == .certificates else { return DestinationAPI.object(.conflict, text) }
            return .json(text, .conflict)
        }
    }

    private func store(_ configuration: NamedConfiguration, _ isNew: Bool) throws -> StoreOutcome {
        let outcome =
            isNew
            ? try store.create(configuration, collection.scope) : try store.update(configuration, collection.scope)
        if case .done = outcome { record(isNew ? "created" : "changed", configuration.name) }
        return outcome
    }

    private func record(_ what: String, _ name: String) {
        audit.record(
            .destinationChanged,
            "\(collection.name)/\(LogText.escaped(name.utf8)) \(what) in \(collection.scope.tenant) by the API"
        )
    }

    private func writeBulk(_ value: JSONValue, _ isNew: Bool) -> BulkResponse {
        var name = ""
        if case .object(let members) = value { name = members["Name"]?.string ?? "" }
        do {
            try Self.refuseGeneration(value)
            switch try store(try NamedConfiguration(collection.kind, value), isNew) {
            case .done(let etag): return BulkResponse(name: name, status: isNew ? 201 : 200, etag: etag)
            case .exists:
                return BulkResponse(name: name, status: 409, cause: "Configuration with this name already exists")
            case .missing: return BulkResponse(name: name, status: 404, cause: DestinationAPI.notFound)
            }
        } catch let fault as DestinationError {
            return BulkResponse(name: name, status: 400, cause: fault.description)
        } catch {
            return BulkResponse(name: name, status: 500, cause: "\(error)")
        }
    }

    private static func refuseGeneration(_ value: JSONValue) throws(DestinationError) {
        if case .object(let members) = value, members["Attributes"] != nil {
            throw DestinationError("Certificates are not generated by this service; post one with Content")
        }
    }

    // MARK: Removing

    private func remove(_ name: String) throws -> HTTPResponse {
        guard try store.remove(collection.kind, collection.scope, name) else {
            // The OpenAPI document has no 404 for fragments.
            return collection.kind == .fragments ? .json(Count(Count: 0)) : missing()
        }
        record("deleted", name)
        return .json(Count(Count: 1))
    }

    private func removeMany(_ request: HTTPRequest) throws -> HTTPResponse {
        let text = (try? QueryItems(request.query))?["$filter"] ?? ""
        guard case .names(let names)? = try? ListFilter(text) else {
            return HTTPResponse.text(.badRequest, "$filter is needed here and must be an in-list condition")
        }
        var summary: [Removal] = []
        for name in names.sorted() {
            if try store.remove(collection.kind, collection.scope, name) {
                record("deleted", name)
                summary.append(Removal(name: name, status: "DELETED"))
            } else {
                summary.append(Removal(name: name, status: "NOT_FOUND", reason: "Could not find configuration"))
            }
        }
        return .json(Removals(Count: summary.count { $0.status == "DELETED" }, Summary: summary))
    }

    // MARK: Labels and public keys

    private struct LabelPatch: Decodable {
        var action: String
        var labels: [Label]
    }

    private func part(_ name: String, _ part: String, _ request: HTTPRequest) throws -> HTTPResponse {
        guard let entry = store.entry(collection.kind, collection.scope, name) else { return missing() }
        if part == "publicKeys", collection.kind == .certificates {
            guard request.method == "GET" else { return DestinationAPI.notAllowed("GET") }
            return publicKeys(entry, request)
        }
        guard part == "labels" else { return DestinationAPI.object(.notFound, "There is no \(part.prefix(40))") }
        let change: LabelChange
        switch request.method {
        case "GET", "HEAD": return .json(entry.labels)
        case "PUT":
            guard let labels = try? JSONLines.decode([Label].self, request.body) else { throw Self.badLabels }
            change = .replace(labels)
        case "PATCH":
            guard let patch = try? JSONLines.decode(LabelPatch.self, request.body) else { throw Self.badLabels }
            switch patch.action {
            case "ADD": change = .add(patch.labels)
            case "DELETE": change = .delete(patch.labels)
            default: throw DestinationError("action must be ADD or DELETE")
            }
        default: return DestinationAPI.notAllowed("GET, PUT, PATCH")
        }
        guard try store.changeLabels(collection.kind, collection.scope, name, { try change.apply($0) }) else {
            return missing()
        }
        record("labelled", name)
        return HTTPResponse.text(.ok, "")
    }

    private static let badLabels = DestinationError(
        "Labels are an array of {\"key\": TEXT, \"values\": [TEXT, …]}; PATCH takes {\"action\": \"ADD\", \"labels\": […]}"
    )

    private func publicKeys(_ entry: StoredConfiguration, _ request: HTTPRequest) -> HTTPResponse {
        let bytes = Base64.decode(entry.configuration["Content"] ?? "") ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.contains("-----BEGIN CERTIFICATE-----") else {
            return HTTPResponse.text(.badRequest, "Public keys can be read from PEM certificates only")
        }
        var chain = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "-----BEGIN CERTIFICATE-----"),
            let end = rest[start.lowerBound...].firstRange(of: "-----END CERTIFICATE-----")
        {
            chain += rest[start.lowerBound..<end.upperBound] + "\n"
            rest = rest[end.upperBound...]
        }
        return DestinationAPI.tagged(JSONLines.encode([["Content": chain]]), request)
    }
}
