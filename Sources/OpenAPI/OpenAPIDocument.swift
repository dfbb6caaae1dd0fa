package import JSON
internal import TextFormats
internal import YAMLDocument

/// What is wrong with a specification, or with the request to use it.
package struct OpenAPIError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// An OpenAPI 3.0 or 3.1 document, as JSON or YAML.
package struct OpenAPIDocument: Sendable {
    /// Bytes; levels of nesting; references that lead to references.
    package static let maxBytes = 16 << 20
    package static let maxDepth = 200
    static let maxReferences = 32

    package let root: JSONValue
    package let operations: [Operation]

    /// A parameter of an operation.
    package struct Parameter: Sendable, Equatable {
        /// Where a parameter goes.
        package enum Place: String, Sendable { case path, query, header, cookie }
        package var name: String
        package var place: Place
        package var isRequired: Bool
        /// From `example`, `default` or a single `enum` value, in the parameter or its schema.
        package var fallback: String?
        /// A list, which is written as `name=a&name=b` (`explode`) or `name=a,b`.
        package var isArray = false
        package var isExploded = true
        /// A way of writing that is not known here.
        package var unsupportedStyle: String?
    }

    /// One method of one path, with all that it refers to.
    package struct Operation: Sendable {
        /// `operationId`, or method and path where there is none.
        package var id: String
        /// In upper case.
        package var method: String
        package var path: String
        package var parameters: [Parameter]
        package var isBodyRequired: Bool
        /// Media types of the body with their schemas and examples, JSON first.
        package var body: [(type: String, schema: JSONValue, example: JSONValue?)]
        /// By status: "200", "2XX" or "default".
        var responses: [String: JSONValue]

        /// Why it cannot be used.
        package var fault: OpenAPIError?

        /// Changes nothing (RFC 9110 section 9.2.1).
        package var isSafe: Bool { ["GET", "HEAD", "OPTIONS"].contains(method) }
    }

    package init(_ bytes: [UInt8], isYAML: Bool) throws(OpenAPIError) {
        guard bytes.count <= Self.maxBytes else {
            throw OpenAPIError("the specification is larger than \(Self.maxBytes >> 20) MiB")
        }
        let text: [UInt8]
        do throws(TextFileError) {
            text = try TextFile.withoutMark(bytes)
            if let fault = TextFile.fault(text) { throw fault }
        } catch {
            throw OpenAPIError("\(error)")
        }
        root = isYAML ? try Self.yaml(text) : try Self.json(text)
        if let old = root["swagger"]?.plainText {
            throw OpenAPIError("this is Swagger \(old); OpenAPI 3.0 and 3.1 are supported")
        }
        guard let version = root["openapi"]?.string, version.hasPrefix("3.0.") || version.hasPrefix("3.1.") else {
            let found = root["openapi"]?.plainText.map { "is \($0)" } ?? "is missing"
            throw OpenAPIError("\"openapi\" \(found); it must be a text such as 3.0.3 or 3.1.0")
        }
        operations = try Self.operations(root)
        guard !operations.isEmpty else { throw OpenAPIError("the specification has no operations") }
    }

    private static func json(_ bytes: [UInt8]) throws(OpenAPIError) -> JSONValue {
        do { return try JSONLines.decode(JSONValue.self, bytes) } catch { throw OpenAPIError("not JSON: \(error)") }
    }

    private static func yaml(_ bytes: [UInt8]) throws(OpenAPIError) -> JSONValue {
        do {
            guard let node = try YAMLReader.read(bytes, depthLimit: maxDepth) else {
                throw OpenAPIError("the file is empty")
            }
            return JSONValue(node)
        } catch let error as YAMLError {
            throw OpenAPIError("\(error.line):\(error.column): \(error.message)")
        } catch {
            throw OpenAPIError("\(error)")
        }
    }

    /// The operation with this ID, or this method and path.
    package func operation(_ id: String) -> Operation? {
        operations.first { $0.id == id } ?? operations.first { "\($0.method) \($0.path)" == id }
    }

    /// Looks whether every schema that a request or an answer of `operation` may need is there, before anything is sent.
    package func check(_ operation: Operation) throws(OpenAPIError) {
        if let fault = operation.fault { throw fault }
        var seen: Set<String> = []
        for media in operation.body { try checkReferences(media.schema, &seen, 0) }
        for response in operation.responses.values { try checkReferences(response, &seen, 0) }
    }

    private func checkReferences(_ value: JSONValue, _ seen: inout Set<String>, _ depth: Int) throws(OpenAPIError) {
        guard depth < Self.maxDepth else { throw OpenAPIError("schemas are nested too deeply") }
        switch value {
        case .array(let items): for item in items { try checkReferences(item, &seen, depth + 1) }
        case .object(let members):
            if let reference = members["$ref"]?.string {
                guard seen.insert(reference).inserted else { return }
                return try checkReferences(try resolved(value), &seen, depth + 1)
            }
            for (key, member) in members where !["example", "examples", "default", "enum", "const"].contains(key) {
                try checkReferences(member, &seen, depth + 1)
            }
        default: break
        }
    }

    // MARK: References

    /// What a `$ref` within this document leads to; the value itself where it is none.
    func resolved(_ value: JSONValue) throws(OpenAPIError) -> JSONValue { try Self.resolved(value, root) }

    static func resolved(_ value: JSONValue, _ root: JSONValue) throws(OpenAPIError) -> JSONValue {
        var value = value
        for _ in 0..<maxReferences {
            guard let reference = value["$ref"]?.string else { return value }
            guard reference.hasPrefix("#/") else {
                throw OpenAPIError("$ref \"\(reference)\" leads to another file, which is not supported")
            }
            var target = root
            for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
                let escaped = PercentText.decode(String(part)) ?? String(part)
                let name = escaped.replacing("~1", with: "/").replacing("~0", with: "~")
                guard let next = target[name] else { throw OpenAPIError("$ref \"\(reference)\" leads nowhere") }
                target = next
            }
            value = target
        }
        throw OpenAPIError("a $ref leads to itself")
    }

    // MARK: Operations

    private static let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]

    private static func operations(_ root: JSONValue) throws(OpenAPIError) -> [Operation] {
        guard case .object(let paths)? = root["paths"] else { return [] }
        var result: [Operation] = []
        for (path, item) in paths.sorted(by: { $0.key < $1.key }) where path.hasPrefix("/") {
            let item = try resolved(item, root)
            for method in methods {
                guard let value = item[method] else { continue }
                do {
                    result.append(try operation(method, path, item, try resolved(value, root), root))
                } catch {
                    // The others are none the worse for it.
                    result.append(
                        Operation(
                            id: value["operationId"]?.string ?? "\(method.uppercased()) \(path)",
                            method: method.uppercased(),
                            path: path,
                            parameters: [],
                            isBodyRequired: false,
                            body: [],
                            responses: [:],
                            fault: error
                        )
                    )
                }
            }
        }
        return result
    }

    private static func operation(
        _ method: String,
        _ path: String,
        _ item: JSONValue,
        _ value: JSONValue,
        _ root: JSONValue
    ) throws(OpenAPIError) -> Operation {
        var parameters: [Parameter] = []
        // Those of the operation count more than those of its path.
        for list in [value["parameters"], item["parameters"]] {
            guard case .array(let items)? = list else { continue }
            for item in items {
                guard let parameter = try parameter(try resolved(item, root), root) else { continue }
                let isKnown = parameters.contains { $0.name == parameter.name && $0.place == parameter.place }
                if !isKnown { parameters.append(parameter) }
            }
        }
        var body: [(type: String, schema: JSONValue, example: JSONValue?)] = []
        var isBodyRequired = false
        if let request = value["requestBody"] {
            let request = try resolved(request, root)
            isBodyRequired = request["required"] == .bool(true)
            if case .object(let content)? = request["content"] {
                body = content.sorted { rank($0.key) < rank($1.key) }.map {
                    ($0.key, $0.value["schema"] ?? .bool(true), $0.value["example"])
                }
            }
        }
        var responses: [String: JSONValue] = [:]
        if case .object(let all)? = value["responses"] {
            for (status, response) in all { responses[status.uppercased()] = try resolved(response, root) }
        }
        return Operation(
            id: value["operationId"]?.string ?? "\(method.uppercased()) \(path)",
            method: method.uppercased(),
            path: path,
            parameters: parameters,
            isBodyRequired: isBodyRequired,
            body: body,
            responses: responses
        )
    }

    private static func rank(_ type: String) -> (Int, String) { (MediaType.isJSON(type) ? 0 : 1, type) }

    private static func parameter(_ value: JSONValue, _ root: JSONValue) throws(OpenAPIError) -> Parameter? {
        guard let name = value["name"]?.string, let place = value["in"]?.string.flatMap(Parameter.Place.init) else {
            return nil
        }
        let schema = try value["schema"].map { schema throws(OpenAPIError) in try resolved(schema, root) }
        let candidates = [value["example"], schema?["example"], schema?["default"], single(schema?["enum"])]
        return Parameter(
            name: name,
            place: place,
            isRequired: place == .path || value["required"] == .bool(true),
            fallback: candidates.compactMap(\.self).lazy.compactMap(\.plainText).first,
            isArray: schema?["type"]?.string == "array",
            isExploded: value["explode"].map { $0 == .bool(true) } ?? (place == .query || place == .cookie),
            unsupportedStyle: value["style"]?.string.flatMap { ["form", "simple"].contains($0) ? nil : $0 }
        )
    }

    private static func single(_ value: JSONValue?) -> JSONValue? {
        guard case .array(let items)? = value, items.count == 1 else { return nil }
        return items[0]
    }
}

enum MediaType {
    /// Without parameters, in lower case.
    static func plain(_ type: String) -> String {
        String(type.prefix { $0 != ";" }).lowercased().filter { $0 != " " }
    }

    static func isJSON(_ type: String) -> Bool {
        let plain = plain(type)
        return plain == "application/json" || plain.hasSuffix("+json")
    }

    /// Whether a documented type, such as `application/*`, covers this one.
    static func matches(_ documented: String, _ type: String) -> Bool {
        let (one, other) = (plain(documented), plain(type))
        if one == other || one == "*/*" { return true }
        return one.hasSuffix("/*") && other.hasPrefix(one.dropLast())
    }
}

extension JSONValue {
    /// With the types that YAML's core schema gives to plain scalars.
    init(_ node: YAMLNode) {
        switch node.content {
        case .sequence(let items): self = .array(items.map { JSONValue($0) })
        case .mapping(let pairs):
            var members: [String: JSONValue] = [:]
            for (key, value) in pairs {
                if case .scalar(let name, _) = key.content { members[name] = JSONValue(value) }
            }
            self = .object(members)
        case .scalar(let text, let isPlain): self = isPlain ? Self.plain(text) : .string(text)
        }
    }

    private static func plain(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let number = Int(text) { return .integer(number) }
        let isNumber = text.first.map { $0.isNumber || "+-.".contains($0) } ?? false
        if isNumber, text.contains(where: \.isNumber), let number = Double(text) { return .number(number) }
        return .string(text)
    }
}
