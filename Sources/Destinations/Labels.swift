/// How labels are changed by `PUT` and `PATCH …/labels`.
package enum LabelChange: Sendable {
    case replace([Label])
    case add([Label])
    case delete([Label])

    /// Labels of one configuration; values of one label; bytes of a key or value.
    package static let maxLabels = 50
    package static let maxBytes = 200

    /// - Throws: where keys or values are too many, too long or missing.
    package func apply(_ old: [Label]) throws(DestinationError) -> [Label] {
        switch self {
        case .replace(let labels): return try Self.check(Self.merge([], labels))
        case .add(let labels): return try Self.check(Self.merge(old, labels))
        case .delete(let labels):
            return old.compactMap { label in
                let gone = labels.filter { $0.key == label.key }
                if gone.contains(where: \.values.isEmpty) { return nil }
                let values = label.values.filter { value in !gone.contains { $0.values.contains(value) } }
                return values.isEmpty && !label.values.isEmpty ? nil : Label(key: label.key, values: values)
            }
        }
    }

    private static func merge(_ old: [Label], _ new: [Label]) -> [Label] {
        var result = old
        for label in new {
            if let index = result.firstIndex(where: { $0.key == label.key }) {
                result[index].values += label.values.filter { !result[index].values.contains($0) }
            } else {
                result.append(label)
            }
        }
        return result
    }

    private static func check(_ labels: [Label]) throws(DestinationError) -> [Label] {
        guard labels.count <= maxLabels, labels.allSatisfy({ $0.values.count <= maxLabels }) else {
            throw DestinationError("At most \(maxLabels) labels, each with at most \(maxLabels) values")
        }
        let texts = labels.map(\.key) + labels.flatMap(\.values)
        guard texts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= maxBytes }) else {
            throw DestinationError("Keys and values of labels have 1 to \(maxBytes) characters")
        }
        return labels
    }
}
