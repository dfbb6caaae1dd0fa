package import JSON
internal import TextFormats
internal import YAMLDocument

/// What is wrong with a specification, or with the request to use it.
package struct OpenAPIError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// An OpenAPI 3.0 or 3.1 document, or Swagger 2.0, as JSON or YAML, with the files that it refers to.
package struct OpenAPIDocument: Sendable {
    /// Bytes; levels of nesting; references that lead to references.
    package static let maxBytes = 16 << 20
    package static let maxDepth = 200
    static let maxReferences = 32
    /// Nodes of a YAML document with what its aliases stand for.
    static let maxNodes = 2_000_000

    package let root: JSONValue
    private let isSwagger: Bool
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

        /// The parameter by which the description asks for a token that is fetched before a change.
        package var tokenParameter: String? {
            guard !isSafe else { return nil }
            return parameters.first { $0.place == .header && $0.name.lowercased() == "x-csrf-token" }?.name
        }
    }

    /// - Parameter load: another file that is referred to, by its path from the folder of this one.
    package init(
        _ bytes: [UInt8],
        isYAML: Bool,
        load: DescriptionFiles.Load = { (_) throws(OpenAPIError) in throw OpenAPIError("other files are not read here")
        }
    ) throws(OpenAPIError) {
        let own = try Self.value(bytes, isYAML: isYAML)
        if let old = own["swagger"]?.plainText, old != "2.0" {
            throw OpenAPIError("this is Swagger \(old); Swagger 2.0, OpenAPI 3.0 and 3.1 are supported")
        }
        isSwagger = own["swagger"] != nil
        if !isSwagger {
            guard let version = own["openapi"]?.string, version.hasPrefix("3.0.") || version.hasPrefix("3.1.") else {
                let found = own["openapi"]?.plainText.map { "is \($0)" } ?? "is missing"
                throw OpenAPIError("\"openapi\" \(found); it must be a text such as 3.0.3 or 3.1.0")
            }
        }
        root = try DescriptionFiles.gather(own, load)
        operations = try Self.operations(root, isSwagger: isSwagger)
        guard !operations.isEmpty else { throw OpenAPIError("the specification has no operations") }
    }

    static func value(_ bytes: [UInt8], isYAML: Bool) throws(OpenAPIError) -> JSONValue {
        guard bytes.count <= maxBytes else {
            throw OpenAPIError("the specification is larger than \(maxBytes >> 20) MiB")
        }
        let text: [UInt8]
        do throws(TextFileError) {
            text = try TextFile.withoutMark(bytes)
            if let fault = TextFile.fault(text) { throw fault }
        } catch {
            throw OpenAPIError("\(error)")
        }
        return isYAML ? try yaml(text) : try json(text)
    }

    private static func json(_ bytes: [UInt8]) throws(OpenAPIError) -> JSONValue {
        do { return try JSONLines.decode(JSONValue.self, bytes) } catch { throw OpenAPIError("not JSON: \(error)") }
    }

    private static func yaml(_ bytes: [UInt8]) throws(OpenAPIError) -> JSONValue {
        do {
            guard let node = try YAMLReader.read(bytes, depthLimit: maxDepth, nodeLimit: maxNodes) else {
                throw OpenAPIError("the file is empty")
            }
            return try JSONValue(node)
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
                throw OpenAPIError("$ref \"\(reference)\" leads to another file from within an example")
            }
            var target = root
            for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
                let escaped = PercentText.decode(String(part)) ?? String(part)
                let name = escaped.replacing("~1", with: "/").replacing("~0", with: "~")
                if let fault = target[DescriptionFiles.fault]?.string { throw OpenAPIError(fault) }
                guard let next = target[name] else { throw OpenAPIError("$ref \"\(reference)\" leads nowhere") }
                target = next
            }
            if let fault = target[DescriptionFiles.fault]?.string { throw OpenAPIError(fault) }
            value = target
        }
        throw OpenAPIError("a $ref leads to itself")
    }

    // MARK: Operations

    private static let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]

    private static func operations(_ root: JSONValue, isSwagger: Bool) throws(OpenAPIError) -> [Operation] {
        guard case .object(let paths)? = root["paths"] else { return [] }
        var result: [Operation] = []
        for (path, item) in paths.sorted(by: { $0.key < $1.key }) where path.hasPrefix("/") {
            let item = try resolved(item, root)
            for method in methods {
                guard let value = item[method] else { continue }
                do {
                    var (item, value) = (item, try resolved(value, root))
                    if isSwagger {
                        value = try Swagger.operation(value, item, root)
                        item = .object([:])
                    }
                    result.append(try operation(method, path, item, value, root))
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
