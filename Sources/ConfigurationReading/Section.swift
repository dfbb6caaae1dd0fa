package import NIOCore
internal import TextFormats
package import YAMLDocument

/// Reads the keys of one mapping and remembers what it was asked for, so that all others can be reported.
package struct Section {
    package let node: YAMLNode
    let key: String
    package let findings: Findings
    /// In the order of the file. A handful: searching them costs less than hashing them would.
    private var entries: [(name: String, key: YAMLNode, value: YAMLNode)] = []
    private var known: [String] = []

    /// More than any mapping here has.
    private static let entryLimit = 64

    /// - Parameter key: the path of this mapping, empty for the file.
    package init(_ node: YAMLNode, _ key: String, _ findings: Findings) {
        self.node = node
        self.key = key
        self.findings = findings
        guard case .mapping(let pairs) = node.content else {
            if !node.isEmpty { findings.error(node, key, "must be a mapping of keys and values, not \(node.kind)") }
            return
        }
        entries.reserveCapacity(pairs.count)
        known.reserveCapacity(24)
        for (name, value) in pairs {
            guard case .scalar(let text, _) = name.content else {
                findings.error(name, key, "a key must be a name, not \(name.kind)")
                continue
            }
            if let first = entry(text) {
                findings.error(
                    name,
                    path(text),
                    "stands here a second time; it already stands in line \(first.key.line)"
                )
                continue
            }
            guard entries.count < Self.entryLimit else {
                findings.error(name, key, "has more than \(Self.entryLimit) keys; what follows is not read")
                break
            }
            entries.append((text, name, value))
        }
    }

    private func entry(_ name: String) -> (name: String, key: YAMLNode, value: YAMLNode)? {
        entries.first { $0.name == name }
    }

    /// Whether the key is there, whatever its value.
    package func has(_ name: String) -> Bool { entry(name) != nil }

    /// Of a key such as `proxy.listen`; of the section itself where the file does not say it.
    package func line(of key: String) -> Int {
        var node = node
        for name in key.split(separator: ".") {
            guard case .mapping(let pairs) = node.content else { return node.line }
            let value = pairs.first { pair in
                if case .scalar(let text, _) = pair.key.content { return text == name }
                return false
            }
            guard let value else { return node.line }
            node = value.value
        }
        return node.line
    }

    /// The whole name of a key, such as `tunnel.service`.
    package func path(_ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }

    /// The value of `name`, or nil where there is none.
    package mutating func value(_ name: String) -> YAMLNode? {
        known.append(name)
        guard let value = entry(name)?.value, !value.isEmpty else { return nil }
        return value
    }

    /// A text, or nil where the key is not there; anything else is an error.
    package mutating func string(_ name: String) -> String? {
        guard let value = value(name) else { return nil }
        guard case .scalar(let text, _) = value.content else {
            findings.error(value, path(name), "must be a text, not \(value.kind)")
            return nil
        }
        return text
    }

    /// A text that must be there; without it an error says what it is for.
    package mutating func required(_ name: String, _ explanation: String) -> String? {
        if entry(name)?.value.isEmpty ?? true {
            known.append(name)
            findings.error(entry(name)?.value ?? node, path(name), "is missing: \(explanation)")
            return nil
        }
        return string(name)
    }

    /// True or false.
    package mutating func flag(_ name: String, _ fallback: Bool) -> Bool {
        guard let text = string(name), let place = entry(name)?.value else { return fallback }
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default:
            findings.error(place, path(name), "must be true or false, not \"\(text)\"")
            return fallback
        }
    }

    /// A whole number; one out of range is an error that names the range.
    package mutating func integer(_ name: String, _ fallback: Int, in range: ClosedRange<Int>) -> Int {
        guard let text = string(name), let place = entry(name)?.value else { return fallback }
        guard let number = Int(text), range.contains(number) else {
            findings.error(
                place,
                path(name),
                "must be a number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\""
            )
            return fallback
        }
        return number
    }

    /// A number with its unit, such as `500ms`, `30s`, `5m`, `2h`, `90d`.
    package mutating func duration(
        _ name: String,
        _ fallback: TimeAmount,
        atLeast minimum: TimeAmount,
        atMost maximum: TimeAmount = .hours(12)
    ) -> TimeAmount {
        guard let text = string(name), let place = entry(name)?.value else { return fallback }
        guard let amount = DurationText.nanoseconds(text).map(TimeAmount.nanoseconds), amount >= minimum,
            amount <= maximum
        else {
            findings.error(
                place,
                path(name),
                "must be a time such as 500ms, 30s, 5m or 1h, from \(DurationText.format(nanoseconds: minimum.nanoseconds)) to "
                    + "\(maximum.nanoseconds / 3_600_000_000_000)h, not \"\(text)\""
            )
            return fallback
        }
        return amount
    }

    /// One of the raw values of an enumeration. In the file the spelling counts, but not the case.
    package mutating func choice<Choice: CaseIterable & RawRepresentable>(
        _ name: String,
        _ type: Choice.Type,
        unsupported: [String] = []
    ) -> Choice? where Choice.RawValue == String {
        guard let text = string(name), let place = entry(name)?.value else { return nil }
        if let choice = Choice(rawValue: text)
            ?? Choice.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() })
        {
            return choice
        }
        let allowed = Choice.allCases.map(\.rawValue)
        if unsupported.contains(where: { $0.lowercased() == text.lowercased() }) {
            findings.error(
                place,
                path(name),
                "\(text) is not supported yet; use one of \(allowed.joined(separator: ", "))"
            )
            return nil
        }
        let nearest = NearestName.find(text, among: allowed).map { "; did you mean \($0)?" } ?? ""
        findings.error(
            place,
            path(name),
            "\"\(text)\" is not one of \(allowed.joined(separator: ", "))\(nearest)"
        )
        return nil
    }

    /// The items of a list; none where the key is not there.
    package mutating func list(_ name: String) -> [YAMLNode] {
        guard let value = value(name) else { return [] }
        guard case .sequence(let items) = value.content else {
            findings.error(value, path(name), "must be a list, each item beginning with \"- \", not \(value.kind)")
            return []
        }
        return items
    }

    /// Where a key stands, for findings about its value; the section itself where it does not.
    package func place(_ name: String) -> YAMLNode { entry(name)?.value ?? node }

    /// Reports every key that nobody asked for.
    package func finish() {
        guard entries.contains(where: { !self.known.contains($0.name) }) else { return }
        var known: [String] = []
        for name in self.known where !known.contains(name) { known.append(name) }
        for (name, place, _) in entries where !known.contains(name) {
            let nearest = NearestName.find(name, among: known).map { "; did you mean \"\($0)\"?" }
            findings.error(
                place,
                path(name),
                "is not a key that is known here" + (nearest ?? "; known are \(known.joined(separator: ", "))")
            )
        }
    }
}
