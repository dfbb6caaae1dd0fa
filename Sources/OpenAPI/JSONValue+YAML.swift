internal import JSON
internal import YAMLDocument

extension JSONValue {
    /// With the types that YAML's core schema gives to plain scalars.
    ///
    /// - Throws: for a merge key without a mapping.
    init(_ node: YAMLNode) throws(OpenAPIError) {
        switch node.content {
        case .sequence(let items):
            self = .array(try items.map { item throws(OpenAPIError) in try JSONValue(item) })
        case .mapping(let pairs):
            var (members, merged): ([String: JSONValue], [String: JSONValue]) = ([:], [:])
            for (key, value) in pairs {
                guard case .scalar(let name, let isPlain) = key.content else { continue }
                if isPlain, name == "<<" {
                    try Self.merge(value, &merged)
                } else {
                    members[name] = try JSONValue(value)
                }
            }
            // Own members count more.
            self = .object(merged.merging(members) { $1 })
        case .scalar(let text, let isPlain): self = isPlain ? Self.plain(text) : .string(text)
        }
    }

    /// YAML's type for merge keys (yaml.org/type/merge.html): of several mappings the first counts most.
    private static func merge(_ node: YAMLNode, _ members: inout [String: JSONValue]) throws(OpenAPIError) {
        let value = try JSONValue(node)
        let all: [JSONValue]
        if case .array(let items) = value { all = items } else { all = [value] }
        for item in all {
            guard case .object(let own) = item else {
                throw OpenAPIError("\(node.line):\(node.column): << takes a mapping, or a list of them")
            }
            members.merge(own) { old, _ in old }
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
