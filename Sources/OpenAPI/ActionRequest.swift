package import JSON
internal import TextFormats

/// The request of one operation, ready to go to a destination.
package struct ActionRequest: Sendable, Equatable {
    package var method: String
    /// Path and query, to be appended to the destination's URL.
    package var target: String
    package var headers: [String: String]
    package var body: [UInt8]

    /// - Parameters:
    ///   - values: of parameters, and of fields of the body where no `body` is given.
    ///   - body: the whole body, as the first media type of the operation has it.
    /// - Throws: for a parameter without a value, and a value without a parameter.
    package init(
        _ operation: OpenAPIDocument.Operation,
        _ document: OpenAPIDocument,
        values: [String: String],
        body: [UInt8]?
    ) throws(OpenAPIError) {
        method = operation.method
        if let fault = operation.fault { throw fault }
        headers = ["accept": "application/json, */*;q=0.5"]
        self.body = []
        var unused = Set(values.keys)
        var path = operation.path
        var query: [String] = []
        var cookies: [String] = []
        for parameter in operation.parameters {
            unused.remove(parameter.name)
            // It is fetched before the request is sent.
            if parameter.name == operation.tokenParameter, values[parameter.name] == nil { continue }
            guard let value = values[parameter.name] ?? (parameter.isRequired ? parameter.fallback : nil) else {
                if parameter.isRequired {
                    throw OpenAPIError(
                        "the \(parameter.place.rawValue) parameter \(parameter.name) has no value; give one with "
                            + "--set \(parameter.name)=…"
                    )
                }
                continue
            }
            if let style = parameter.unsupportedStyle {
                throw OpenAPIError("the parameter \(parameter.name) has style \(style), which is not supported")
            }
            let items = parameter.isArray ? Self.items(value) : [value]
            switch parameter.place {
            case .path:
                let text = items.map(PercentText.encode).joined(separator: ",")
                path = path.replacing("{\(parameter.name)}", with: text)
            case .query:
                let name = PercentText.encode(parameter.name)
                if parameter.isExploded {
                    query += items.map { "\(name)=\(PercentText.encode($0))" }
                } else {
                    query.append("\(name)=" + items.map(PercentText.encode).joined(separator: ","))
                }
            case .header:
                guard (parameter.name + value).utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
                    throw OpenAPIError("the header \(parameter.name) may hold visible ASCII only")
                }
                headers[parameter.name.lowercased()] = value
            case .cookie: cookies.append("\(parameter.name)=\(PercentText.encode(value))")
            }
        }
        if let open = path.firstRange(of: "{") {
            throw OpenAPIError(
                "the path has \(path[open.lowerBound...].prefix { $0 != "}" })}, which no parameter describes"
            )
        }
        target = Self.escaped(path)
        if !query.isEmpty { target += (path.contains("?") ? "&" : "?") + query.joined(separator: "&") }
        if !cookies.isEmpty { headers["cookie"] = cookies.joined(separator: "; ") }
        try setBody(operation, document, values, body, &unused)
        if let name = unused.sorted().first {
            let known = try Self.names(operation, document).sorted().joined(separator: ", ")
            let reason = body != nil ? "the body comes from --body, and " : ""
            let list = known.isEmpty ? "none" : known
            throw OpenAPIError("\(reason)\(operation.id) has no parameter \(name); it has: \(list)")
        }
    }

    /// Of parameters, and of fields of the body.
    package static func names(
        _ operation: OpenAPIDocument.Operation,
        _ document: OpenAPIDocument
    ) throws(OpenAPIError) -> Set<String> {
        var names = Set(operation.parameters.map(\.name))
        if let media = operation.body.first { names.formUnion(try properties(media.schema, document).keys) }
        return names
    }

    /// A JSON array, or a single value.
    private static func items(_ text: String) -> [String] {
        guard text.hasPrefix("["), case .array(let items)? = try? JSONLines.decode(JSONValue.self, Array(text.utf8))
        else { return [text] }
        return items.map { $0.plainText ?? String(decoding: JSONLines.encode($0).dropLast(), as: UTF8.self) }
    }

    /// What a path may not have as it is; what is escaped already stays.
    private static func escaped(_ path: String) -> String {
        PercentText.encode(path) { byte, _ in
            byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "#")
        }
    }

    private mutating func setBody(
        _ operation: OpenAPIDocument.Operation,
        _ document: OpenAPIDocument,
        _ values: [String: String],
        _ given: [UInt8]?,
        _ unused: inout Set<String>
    ) throws(OpenAPIError) {
        guard let (type, schema, mediaExample) = operation.body.first else {
            if given != nil { throw OpenAPIError("\(operation.id) takes no body") }
            return
        }
        if let given {
            body = given
            headers["content-type"] = type
            return
        }
        let properties = try Self.properties(schema, document)
        let fields = values.filter { properties[$0.key] != nil && unused.contains($0.key) }
        var example = mediaExample
        if example == nil { example = try Self.example(schema, document) }
        guard !fields.isEmpty || operation.isBodyRequired || example != nil else { return }
        unused.subtract(fields.keys)
        if fields.isEmpty {
            guard let example, MediaType.isJSON(type) else {
                throw OpenAPIError(
                    "\(operation.id) needs a body; give its fields with --set, or all of it with --body FILE"
                )
            }
            body = Array(JSONLines.encode(example).dropLast())
        } else if MediaType.isJSON(type) {
            var members: [String: JSONValue] = [:]
            for (name, text) in fields { members[name] = Self.typed(text, properties[name] ?? .bool(true)) }
            body = Array(JSONLines.encode(members).dropLast())
        } else if MediaType.plain(type) == "application/x-www-form-urlencoded" {
            let pairs = fields.sorted { $0.key < $1.key }
                .map { "\(PercentText.encode($0.key))=\(PercentText.encode($0.value))" }
            body = Array(pairs.joined(separator: "&").utf8)
        } else {
            throw OpenAPIError("\(operation.id) needs a body of \(type); give one with --body FILE")
        }
        headers["content-type"] = type
    }

    private static func example(_ schema: JSONValue, _ document: OpenAPIDocument) throws(OpenAPIError) -> JSONValue? {
        try document.resolved(schema)["example"]
    }

    /// Of an object, those within `allOf` included.
    private static func properties(
        _ schema: JSONValue,
        _ document: OpenAPIDocument
    ) throws(OpenAPIError) -> [String: JSONValue] {
        var steps = 0
        return try properties(schema, document, 0, &steps)
    }

    /// Schemas that are looked at for one body: parts that lead back to themselves, each several times, would have no end.
    private static let maxSteps = 10_000

    private static func properties(
        _ schema: JSONValue,
        _ document: OpenAPIDocument,
        _ depth: Int,
        _ steps: inout Int
    ) throws(OpenAPIError) -> [String: JSONValue] {
        guard depth < 16 else { return [:] }
        steps += 1
        guard steps <= maxSteps else {
            throw OpenAPIError("the schema of the body has too many parts (more than \(maxSteps))")
        }
        let schema = try document.resolved(schema)
        var result: [String: JSONValue] = [:]
        if case .array(let parts)? = schema["allOf"] {
            for part in parts { result.merge(try properties(part, document, depth + 1, &steps)) { $1 } }
        }
        if case .object(let own)? = schema["properties"] {
            for (name, value) in own { result[name] = try document.resolved(value) }
        }
        return result
    }

    /// A text from the command line, as the type that its schema names.
    private static func typed(_ text: String, _ schema: JSONValue) -> JSONValue {
        if text == "null", schema["nullable"] == .bool(true) { return .null }
        var type = schema["type"]
        if case .array(let types)? = type {
            if text == "null", types.contains(.string("null")) { return .null }
            type = types.first { $0 != .string("null") }
        }
        return switch type?.string {
        case "integer": Int(text).map { .integer($0) } ?? .string(text)
        case "number": Double(text).map { .number($0) } ?? .string(text)
        case "boolean": text == "true" ? .bool(true) : text == "false" ? .bool(false) : .string(text)
        case "array", "object": (try? JSONLines.decode(JSONValue.self, Array(text.utf8))) ?? .string(text)
        default: .string(text)
        }
    }
}

/// What an operation's answer is, held against its specification.
package struct ActionVerdict: Sendable {
    package var isGood: Bool { problems.isEmpty }
    /// What is wrong, each in a line.
    package var problems: [String] = []
    /// Keywords of the schema that were not checked.
    package var unchecked: [String] = []
    /// The body, where it is JSON.
    package var payload: JSONValue?

    package init(
        status: Int,
        contentType: String?,
        body: [UInt8],
        _ operation: OpenAPIDocument.Operation,
        _ document: OpenAPIDocument
    ) throws(OpenAPIError) {
        if let contentType, MediaType.isJSON(contentType) {
            payload = try? JSONLines.decode(JSONValue.self, body)
            if payload == nil, !body.isEmpty {
                problems.append("the payload says that it is JSON, and cannot be read as such")
            }
        }
        if status >= 400 { problems.append("the status is \(status)") }
        let key = String(status)
        let range = "\(key.prefix(1))XX"
        guard let response = operation.responses[key] ?? operation.responses[range] ?? operation.responses["DEFAULT"]
        else {
            let known = operation.responses.keys.sorted().joined(separator: ", ")
            problems.append(
                "the status \(status) is not documented for \(operation.id); documented: \(known.isEmpty ? "none" : known)"
            )
            return
        }
        guard case .object(let content)? = response["content"], !content.isEmpty, operation.method != "HEAD" else {
            return
        }
        guard let contentType else {
            problems.append(
                "the answer has no Content-Type; documented: \(content.keys.sorted().joined(separator: ", "))"
            )
            return
        }
        guard
            let media = content.sorted(by: { $0.key > $1.key }).first(where: { MediaType.matches($0.key, contentType) })
        else {
            let known = content.keys.sorted().joined(separator: ", ")
            problems.append("the answer is \(MediaType.plain(contentType)); documented: \(known)")
            return
        }
        guard let schema = media.value["schema"] else { return }
        guard MediaType.isJSON(contentType) else {
            unchecked = ["the schema of \(MediaType.plain(contentType))"]
            return
        }
        if payload == nil, body.isEmpty { problems.append("the payload is empty, where JSON is described") }
        guard let payload else { return }
        var validator = SchemaValidator(document)
        try validator.validate(payload, schema)
        problems += validator.faults.map { "\(operation.id): \($0)" }
        unchecked = validator.unchecked.sorted()
    }

    /// A value of the payload.
    ///
    /// - Parameter place: a JSON pointer, or the name of a field of an object.
    package func pick(_ place: String) -> JSONValue? {
        guard var value = payload else { return nil }
        let parts =
            place.hasPrefix("/")
            ? place.dropFirst().split(separator: "/", omittingEmptySubsequences: false) : [place[...]]
        for part in parts {
            let name = part.replacing("~1", with: "/").replacing("~0", with: "~")
            guard let next = value[String(name)] else { return nil }
            value = next
        }
        return value
    }
}
