package import JSON

/// How a value differs from its schema.
package struct SchemaFault: Sendable, Equatable, CustomStringConvertible {
    /// Where in the value: a JSON pointer (RFC 6901), empty for the whole.
    package var pointer: String
    package var expected: String
    package var found: String

    package var description: String {
        "\(pointer.isEmpty ? "the payload" : pointer): expected \(expected), found \(found)"
    }
}

/// Checks a value against a schema of OpenAPI 3.0 or 3.1.
///
/// What is not checked is collected in `unchecked`, and never passed in silence: `pattern` and `format`, whose dialects are many,
/// and whatever is not known here.
package struct SchemaValidator {
    private static let annotations: Set<String> = [
        "title", "description", "example", "examples", "default", "deprecated", "readOnly", "writeOnly", "xml",
        "externalDocs", "$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "nullable",
    ]
    private static let maxDepth = 100
    /// Schemas that are looked at for one value: combinations of combinations grow without bounds.
    package static let maxSteps = 200_000
    /// Differences that are reported.
    private static let maxFaults = 20

    private let document: OpenAPIDocument
    package private(set) var faults: [SchemaFault] = []
    package private(set) var unchecked: Set<String> = []
    private var steps = 0

    package init(_ document: OpenAPIDocument) { self.document = document }

    /// Notes each place at which a value is not as the schema has it.
    package mutating func validate(_ value: JSONValue, _ schema: JSONValue) throws(OpenAPIError) {
        try check(value, schema, "", 0)
    }

    private mutating func fault(_ pointer: String, _ expected: String, _ found: String) {
        if faults.count < Self.maxFaults {
            faults.append(SchemaFault(pointer: pointer, expected: expected, found: found))
        }
    }

    private mutating func check(
        _ value: JSONValue,
        _ schema: JSONValue,
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) {
        guard depth < Self.maxDepth else { throw OpenAPIError("the schema is nested too deeply, or leads to itself") }
        steps += 1
        guard steps <= Self.maxSteps else {
            throw OpenAPIError("the schema has too many combinations to be checked (more than \(Self.maxSteps) steps)")
        }
        if case .bool(let isAllowed) = schema {
            if !isAllowed { fault(pointer, "nothing", value.described) }
            return
        }
        // Beside $ref, 3.1 has further keywords; 3.0 ignores them (specification, "Reference Object").
        if schema["$ref"] != nil {
            try check(value, try document.resolved(schema), pointer, depth + 1)
            guard case .object(let members) = schema, members.count > 1, isVersion31 else { return }
        }
        guard case .object(let keywords) = schema else { return }
        if value == .null, keywords["nullable"] == .bool(true) { return }
        guard checkType(value, keywords["type"], pointer) else { return }
        for (keyword, rule) in keywords.sorted(by: { $0.key < $1.key }) {
            try check(keyword, rule, value, keywords, pointer, depth)
        }
    }

    private var isVersion31: Bool { document.root["openapi"]?.string?.hasPrefix("3.0") != true }

    /// - Returns: whether the rest of the schema makes sense for the value.
    private mutating func checkType(_ value: JSONValue, _ rule: JSONValue?, _ pointer: String) -> Bool {
        let names: [String]
        switch rule {
        case .string(let name): names = [name]
        case .array(let items): names = items.compactMap(\.string)
        default: return true
        }
        if names.contains(where: { value.isType($0) }) { return true }
        fault(pointer, names.joined(separator: " or "), value.described)
        return false
    }

    private mutating func check(
        _ keyword: String,
        _ rule: JSONValue,
        _ value: JSONValue,
        _ keywords: [String: JSONValue],
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) {
        switch keyword {
        case "type", "$ref": break
        case "enum":
            if case .array(let allowed) = rule, !allowed.contains(where: { $0.equals(value) }) {
                fault(pointer, "one of " + allowed.map(\.described).joined(separator: ", "), value.described)
            }
        case "const": if !rule.equals(value) { fault(pointer, rule.described, value.described) }
        case "properties", "required", "additionalProperties", "minProperties", "maxProperties":
            if case .object(let members) = value { try checkObject(keyword, rule, members, keywords, pointer, depth) }
        case "items", "prefixItems", "minItems", "maxItems", "uniqueItems":
            if case .array(let items) = value { try checkArray(keyword, rule, items, keywords, pointer, depth) }
        case "minLength", "maxLength":
            if case .string(let text) = value, let limit = rule.double {
                let count = text.unicodeScalars.count
                let isGood = keyword == "minLength" ? Double(count) >= limit : Double(count) <= limit
                if !isGood { fault(pointer, "\(keyword) \(rule.shortNumber)", "\(count) characters") }
            }
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
            checkNumber(keyword, rule, value, keywords, pointer)
        case "allOf", "anyOf", "oneOf", "not": try checkCombination(keyword, rule, value, pointer, depth)
        default:
            if !Self.annotations.contains(keyword), !keyword.hasPrefix("x-") { unchecked.insert(keyword) }
        }
    }

    private mutating func checkObject(
        _ keyword: String,
        _ rule: JSONValue,
        _ members: [String: JSONValue],
        _ keywords: [String: JSONValue],
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) {
        switch keyword {
        case "properties":
            guard case .object(let properties) = rule else { return }
            for (name, schema) in properties.sorted(by: { $0.key < $1.key }) {
                if let member = members[name] {
                    try check(member, schema, "\(pointer)/\(name.escapedForPointer)", depth + 1)
                }
            }
        case "required":
            guard case .array(let names) = rule else { return }
            for name in names.compactMap(\.string) where members[name] == nil {
                // What is only written is never read.
                if keywords["properties"]?[name]?["writeOnly"] == .bool(true) { continue }
                fault("\(pointer)/\(name.escapedForPointer)", "a value", "nothing: the field is missing")
            }
        case "additionalProperties":
            let known: Set<String> =
                if case .object(let properties)? = keywords["properties"] { Set(properties.keys) } else { [] }
            if keywords["patternProperties"] != nil { return }
            for (name, member) in members.sorted(by: { $0.key < $1.key }) where !known.contains(name) {
                let place = "\(pointer)/\(name.escapedForPointer)"
                if rule == .bool(false) {
                    fault(place, "no further fields", member.described)
                } else if rule != .bool(true) {
                    try check(member, rule, place, depth + 1)
                }
            }
        default:
            guard let limit = rule.double else { return }
            let isGood = keyword == "minProperties" ? Double(members.count) >= limit : Double(members.count) <= limit
            if !isGood { fault(pointer, "\(keyword) \(rule.shortNumber)", "\(members.count) fields") }
        }
    }

    private mutating func checkArray(
        _ keyword: String,
        _ rule: JSONValue,
        _ items: [JSONValue],
        _ keywords: [String: JSONValue],
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) {
        switch keyword {
        case "items":
            let first: Int = if case .array(let prefix)? = keywords["prefixItems"] { prefix.count } else { 0 }
            for (index, item) in items.enumerated().dropFirst(first) {
                try check(item, rule, "\(pointer)/\(index)", depth + 1)
            }
        case "prefixItems":
            guard case .array(let schemas) = rule else { return }
            for (index, (item, schema)) in zip(items, schemas).enumerated() {
                try check(item, schema, "\(pointer)/\(index)", depth + 1)
            }
        case "uniqueItems":
            guard rule == .bool(true) else { return }
            guard items.count <= 10_000 else {
                unchecked.insert("uniqueItems of more than 10,000 items")
                return
            }
            let texts = items.map { JSONLines.encode($0) }
            if Set(texts).count != texts.count { fault(pointer, "different items", "the same item twice") }
        default:
            guard let limit = rule.double else { return }
            let isGood = keyword == "minItems" ? Double(items.count) >= limit : Double(items.count) <= limit
            if !isGood { fault(pointer, "\(keyword) \(rule.shortNumber)", "\(items.count) items") }
        }
    }

    private mutating func checkNumber(
        _ keyword: String,
        _ rule: JSONValue,
        _ value: JSONValue,
        _ keywords: [String: JSONValue],
        _ pointer: String
    ) {
        // In 3.0 "exclusive…" is a flag beside the limit, in 3.1 a limit.
        guard let number = DecimalNumber(value), let limit = DecimalNumber(rule) else { return }
        let isGood: Bool
        switch keyword {
        case "minimum": isGood = keywords["exclusiveMinimum"] == .bool(true) ? number > limit : number >= limit
        case "maximum": isGood = keywords["exclusiveMaximum"] == .bool(true) ? number < limit : number <= limit
        case "exclusiveMinimum": isGood = number > limit
        case "exclusiveMaximum": isGood = number < limit
        default: isGood = (rule.double ?? 0) <= 0 || number.isMultiple(of: limit)
        }
        let isExclusive = keywords["exclusive\(keyword.prefix(1).uppercased())\(keyword.dropFirst())"] == .bool(true)
        let text = isExclusive ? "\(keyword) (exclusive)" : keyword
        if !isGood { fault(pointer, "\(text) \(rule.plainText ?? "")", value.shortNumber) }
    }

    private mutating func checkCombination(
        _ keyword: String,
        _ rule: JSONValue,
        _ value: JSONValue,
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) {
        if keyword == "not" {
            if try attempt(value, rule, pointer, depth).isEmpty { fault(pointer, "not that", value.described) }
            return
        }
        guard case .array(let schemas) = rule else { return }
        if keyword == "allOf" {
            for schema in schemas { try check(value, schema, pointer, depth + 1) }
            return
        }
        var attempts: [[SchemaFault]] = []
        for schema in schemas { attempts.append(try attempt(value, schema, pointer, depth)) }
        let matches = attempts.count { $0.isEmpty }
        if keyword == "oneOf", matches > 1 {
            fault(pointer, "exactly one of \(schemas.count) schemas", "a value that fits \(matches) of them")
        } else if matches == 0 {
            // The schema that comes nearest says most.
            let nearest = attempts.min { $0.count < $1.count }?.first
            let detail = nearest.map { $0.expected.hasPrefix("one of") ? "" : "; nearest: \($0)" } ?? ""
            fault(pointer, "one of \(schemas.count) schemas", "a value that fits none\(detail)")
        }
    }

    private mutating func attempt(
        _ value: JSONValue,
        _ schema: JSONValue,
        _ pointer: String,
        _ depth: Int
    ) throws(OpenAPIError) -> [SchemaFault] {
        var other = SchemaValidator(document)
        other.steps = steps
        try other.check(value, schema, pointer, depth + 1)
        steps = other.steps
        unchecked.formUnion(other.unchecked)
        return other.faults
    }
}

extension String {
    fileprivate var escapedForPointer: String { replacing("~", with: "~0").replacing("/", with: "~1") }
}

extension JSONValue {
    fileprivate func isType(_ name: String) -> Bool {
        switch (name, self) {
        case ("null", .null), ("boolean", .bool), ("integer", .integer), ("number", .integer), ("number", .number),
            ("string", .string), ("array", .array), ("object", .object):
            true
        case ("integer", .number(let number)): number.rounded() == number
        default: false
        }
    }

    fileprivate var double: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }

    /// 1 and 1.0 are the same.
    fileprivate func equals(_ other: JSONValue) -> Bool {
        if let one = DecimalNumber(self), let two = DecimalNumber(other) { return one == two }
        return self == other
    }

    /// Short, for messages.
    fileprivate var described: String {
        if self == .null { return "null" }
        let text = String(decoding: JSONLines.encode(self).dropLast(), as: UTF8.self)
        let short = text.count > 60 ? text.prefix(57) + "…" : text[...]
        return "\(typeName) \(short)"
    }

    /// 1 and not 1.0.
    fileprivate var shortNumber: String {
        guard let number = double, number.rounded() == number, abs(number) < 1e15 else { return plainText ?? "" }
        return String(Int(number))
    }

    private var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
