package import YAMLDocument

/// What a document says, without where and how it is written.
///
/// An empty list or mapping says as much as no value at all, as `Section` reads it.
package indirect enum YAMLValue: Sendable, Equatable {
    case nothing
    case text(String)
    /// Written without quotes: `true`, `false` or a number.
    case word(String)
    case list([YAMLValue])
    case mapping([Entry])

    /// A key with its value, in the order of the file.
    package struct Entry: Sendable, Equatable {
        package var key: String
        package var value: YAMLValue

        package init(_ key: String, _ value: YAMLValue) {
            self.key = key
            self.value = value
        }
    }

    package init(_ node: YAMLNode) {
        switch node.content {
        case .scalar(let text, _): self = node.isEmpty ? .nothing : .text(text)
        case .sequence(let items): self = items.isEmpty ? .nothing : .list(items.map { YAMLValue($0) })
        case .mapping(let pairs):
            self = pairs.isEmpty ? .nothing : .mapping(pairs.map { Entry(Self.name($0.key), YAMLValue($0.value)) })
        }
    }

    /// The text of a key. Others than texts are no keys anywhere; they keep a place of their own.
    static func name(_ node: YAMLNode) -> String {
        if case .scalar(let text, _) = node.content { text } else { "\(node.line):\(node.column)" }
    }

    /// The value of a mapping's key; nil where it is not there, or this is no mapping.
    package subscript(key: String) -> YAMLValue? {
        guard case .mapping(let entries) = self else { return nil }
        return entries.first { $0.key == key }?.value
    }

    /// The text of a scalar.
    package var scalar: String? {
        switch self {
        case .text(let text), .word(let text): text
        case .nothing, .list, .mapping: nil
        }
    }

    /// Whether a key is true, in the words that a file may use; `fallback` where it is not there.
    package func flag(_ key: String, _ fallback: Bool) -> Bool {
        self[key]?.scalar.map { ["true", "yes", "on"].contains($0.lowercased()) } ?? fallback
    }

    /// The items of a list; none for anything else.
    package var items: [YAMLValue] { if case .list(let items) = self { items } else { [] } }

    /// As it is read back: a word is a text, and what is empty is nothing.
    var normal: YAMLValue {
        switch self {
        case .nothing: .nothing
        case .text(let text): .text(text)
        case .word(let text): .text(text)
        case .list(let items): items.isEmpty ? .nothing : .list(items.map(\.normal))
        case .mapping(let entries):
            entries.isEmpty ? .nothing : .mapping(entries.map { Entry($0.key, $0.value.normal) })
        }
    }
}

/// From the whole document to a place in it.
package enum YAMLStep: Sendable, Equatable {
    case key(String)
    case item(Int)
}

/// One change of a document.
package enum YAMLChange: Sendable, Equatable {
    /// A key's value is this from now on. The key is added where it is not there.
    case set([YAMLStep], YAMLValue)
    /// A key, or an item of a list, is there no more.
    case remove([YAMLStep])
    /// A list has one item more, at its end. It is begun where it is not there.
    case append([YAMLStep], YAMLValue)

    var path: [YAMLStep] {
        switch self {
        case .set(let path, _), .remove(let path), .append(let path, _): path
        }
    }
}

extension YAMLValue {
    /// What the change makes of this value; nil where it has no such place.
    func changed(_ change: YAMLChange) -> YAMLValue? { changed(change.path[...], change) }

    private func changed(_ path: ArraySlice<YAMLStep>, _ change: YAMLChange) -> YAMLValue? {
        guard let step = path.first else {
            guard case .append(_, let item) = change else { return nil }
            switch self {
            case .nothing: return .list([item.normal])
            case .list(let items): return .list(items + [item.normal])
            case .text, .word, .mapping: return nil
            }
        }
        let rest = path.dropFirst()
        switch (step, self) {
        case (.item(let index), .list(var items)) where items.indices.contains(index):
            if rest.isEmpty, case .remove = change {
                items.remove(at: index)
            } else {
                guard let item = items[index].changed(rest, change) else { return nil }
                items[index] = item
            }
            return YAMLValue.list(items).normal
        case (.key(let key), .mapping(var entries)):
            return Self.changed(&entries, key, rest, change)
        case (.key(let key), .nothing):
            var entries: [Entry] = []
            return Self.changed(&entries, key, rest, change)
        default: return nil
        }
    }

    private static func changed(
        _ entries: inout [Entry],
        _ key: String,
        _ rest: ArraySlice<YAMLStep>,
        _ change: YAMLChange
    ) -> YAMLValue? {
        let index = entries.firstIndex { $0.key == key }
        if rest.isEmpty {
            switch change {
            case .set(_, let value):
                if let index { entries[index].value = value.normal } else { entries.append(Entry(key, value.normal)) }
                return .mapping(entries)
            case .remove:
                guard let index else { return nil }
                entries.remove(at: index)
                return YAMLValue.mapping(entries).normal
            case .append: break
            }
        }
        guard let value = (index.map { entries[$0].value } ?? .nothing).changed(rest, change) else { return nil }
        if let index { entries[index].value = value } else { entries.append(Entry(key, value)) }
        return .mapping(entries)
    }
}

extension YAMLValue {
    /// The value at a place; nil where there is none.
    package subscript(path: [YAMLStep]) -> YAMLValue? {
        var value = self
        for step in path {
            switch step {
            case .key(let key):
                guard let next = value[key] else { return nil }
                value = next
            case .item(let index):
                guard value.items.indices.contains(index) else { return nil }
                value = value.items[index]
            }
        }
        return value
    }
}
