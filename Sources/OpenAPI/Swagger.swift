internal import JSON

/// Swagger 2.0 as OpenAPI 3.0 would say it, one operation at a time. Schemas stay where they are, so every `$ref` still leads to them.
///
/// Source: OpenAPI Specification 2.0, sections "Operation Object", "Parameter Object", "Response Object".
enum Swagger {
    private static let form = "application/x-www-form-urlencoded"

    /// - Parameters:
    ///   - value: the operation.
    ///   - item: its path's, with parameters of all operations.
    static func operation(_ value: JSONValue, _ item: JSONValue, _ root: JSONValue) throws(OpenAPIError) -> JSONValue {
        guard case .object(var members) = value else { return value }
        var parameters: [JSONValue] = []
        for list in [value["parameters"], item["parameters"]] {
            guard case .array(let items)? = list else { continue }
            for item in items {
                let parameter = try OpenAPIDocument.resolved(item, root)
                let isKnown = parameters.contains { $0["name"] == parameter["name"] && $0["in"] == parameter["in"] }
                if !isKnown { parameters.append(parameter) }
            }
        }
        let consumes = types(value["consumes"] ?? root["consumes"])
        members["parameters"] = .array(parameters.compactMap(Self.parameter))
        members["requestBody"] = body(parameters, consumes)
        if case .object(let responses)? = value["responses"] {
            let produces = types(value["produces"] ?? root["produces"])
            var all: [String: JSONValue] = [:]
            for (status, response) in responses {
                all[status] = Self.response(try OpenAPIDocument.resolved(response, root), produces)
            }
            members["responses"] = .object(all)
        }
        return .object(members)
    }

    private static func types(_ value: JSONValue?) -> [String] {
        guard case .array(let items)? = value else { return ["application/json"] }
        let types = items.compactMap(\.string)
        return types.isEmpty ? ["application/json"] : types
    }

    /// What stands beside its name is its schema.
    private static func parameter(_ value: JSONValue) -> JSONValue? {
        guard case .object(var members) = value, let place = members["in"]?.string, place != "body", place != "formData"
        else { return nil }
        members["schema"] = value
        switch members["collectionFormat"]?.string {
        case "multi": members["explode"] = .bool(true)
        case nil, "csv": members["explode"] = .bool(false)
        case let other?: members["style"] = .string(other)
        }
        return .object(members)
    }

    private static func body(_ parameters: [JSONValue], _ consumes: [String]) -> JSONValue? {
        if let body = parameters.first(where: { $0["in"]?.string == "body" }) {
            let media = JSONValue.object(["schema": body["schema"] ?? .bool(true)])
            let content = Dictionary(consumes.map { ($0, media) }) { first, _ in first }
            return .object(["required": body["required"] ?? .bool(false), "content": .object(content)])
        }
        let fields = parameters.filter { $0["in"]?.string == "formData" }
        guard !fields.isEmpty else { return nil }
        var properties: [String: JSONValue] = [:]
        for field in fields { if let name = field["name"]?.string { properties[name] = field } }
        let required = fields.filter { $0["required"] == .bool(true) }.compactMap { $0["name"] }
        let hasFile = fields.contains { $0["type"]?.string == "file" }
        let type = hasFile ? "multipart/form-data" : consumes.first { $0.hasPrefix(form) } ?? form
        // "required" of a field says something else than that of a schema.
        let schema = JSONValue.object([
            "type": .string("object"), "properties": .object(properties.mapValues(withoutRequired)),
            "required": .array(required),
        ])
        return .object([
            "required": .bool(!required.isEmpty), "content": .object([type: .object(["schema": schema])]),
        ])
    }

    private static func withoutRequired(_ value: JSONValue) -> JSONValue {
        guard case .object(var members) = value else { return value }
        members["required"] = nil
        return .object(members)
    }

    private static func response(_ value: JSONValue, _ produces: [String]) -> JSONValue {
        guard case .object(var members) = value, let schema = members["schema"], schema["type"]?.string != "file" else {
            return value
        }
        let media = JSONValue.object(["schema": schema])
        members["content"] = .object(Dictionary(produces.map { ($0, media) }) { first, _ in first })
        return .object(members)
    }
}
