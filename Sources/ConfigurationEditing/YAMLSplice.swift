internal import YAMLDocument

/// The bytes that a change replaces, and by which.
struct YAMLSplice {
    var range: Range<Int>
    var bytes: [UInt8]

    private init(_ range: Range<Int>, _ text: String) {
        self.range = range
        bytes = Array(text.utf8)
    }

    static func of(_ change: YAMLChange, in text: YAMLText) throws(YAMLEditError) -> YAMLSplice {
        switch change {
        case .set(let path, let value): return try set(path[...], value, text)
        case .append(let path, let item): return try append(path[...], item, text)
        case .remove(let path):
            guard let last = path.last, let parent = text.node(path.dropLast()) else { throw .noSuchPlace }
            switch (last, parent.content) {
            case (.key(let key), .mapping(let pairs)): return try remove(key, of: pairs, parent, text)
            case (.item(let index), .sequence(let items)): return try remove(index, of: items, parent, text)
            default: throw .noSuchPlace
            }
        }
    }

    // MARK: Keys

    private static func set(_ path: ArraySlice<YAMLStep>, _ value: YAMLValue, _ text: YAMLText) throws(YAMLEditError)
        -> YAMLSplice
    {
        guard case .key(let key)? = path.last else { throw .noSuchPlace }
        guard let parent = text.node(path.dropLast()) else {
            // The mapping that would have the key is not there either.
            return try set(path.dropLast(), .mapping([.init(key, value)]), text)
        }
        guard case .mapping(let pairs) = parent.content else {
            guard parent.isEmpty else { throw .noSuchPlace }
            return try set(path.dropLast(), .mapping([.init(key, value)]), text)
        }
        if let pair = pairs.first(where: { YAMLValue.name($0.key) == key }) {
            return replace(pair, in: parent, value, text)
        }
        guard let last = pairs.last else {
            if text.isFlow(parent) {
                return intoBrackets(
                    parent,
                    after: nil,
                    "\(YAMLWriter.scalar(key, isInFlow: true)): \(YAMLWriter.flow(value))",
                    text
                )
            }
            return lines(YAMLWriter.entry(key, value, indent: 0), after: text.bytes.count, text)
        }
        if text.isFlow(parent) {
            return intoBrackets(
                parent,
                after: max(text.contentEnd(last.value), text.contentEnd(last.key)),
                "\(YAMLWriter.scalar(key, isInFlow: true)): \(YAMLWriter.flow(value))",
                text
            )
        }
        let end = max(text.contentEnd(last.value), text.contentEnd(last.key))
        let column = column(pairs[0].key)
        let place = text.endWithComments(end, deeperThan: column)
        return lines(
            YAMLWriter.entry(key, value, indent: column),
            after: place > text.lineEnd(end) ? place - 1 : end,
            text
        )
    }

    private static func column(_ node: YAMLNode) -> Int { node.column - 1 }

    private static func replace(
        _ pair: (key: YAMLNode, value: YAMLNode),
        in parent: YAMLNode,
        _ value: YAMLValue,
        _ text: YAMLText
    ) -> YAMLSplice {
        let start = text.start(pair.value)
        let isFlow = text.isFlow(parent)
        if case .scalar = pair.value.content, !pair.value.isEmpty, let new = value.scalar {
            let old = skippingProperties(start, text)
            let end = text.contentEnd(pair.value)
            let first = old < text.bytes.count ? text.bytes[old] : 0
            let quotes: YAMLWriter.Quotes =
                first == UInt8(ascii: "'") ? .single : first == UInt8(ascii: "\"") ? .double : .none
            if case .word = value { return YAMLSplice(old..<end, new) }
            return YAMLSplice(old..<end, YAMLWriter.scalar(new, isInFlow: isFlow, quotes: quotes))
        }
        // From behind the colon.
        let keyEnd = text.contentEnd(pair.key)
        let colon = text.bytes[keyEnd...].firstIndex(of: UInt8(ascii: ":")).map { $0 + 1 } ?? keyEnd
        let end = max(colon, text.contentEnd(pair.value))
        if isFlow { return YAMLSplice(colon..<end, " " + YAMLWriter.flow(value)) }
        let name = YAMLValue.name(pair.key)
        let written = YAMLWriter.entry(name, value, indent: column(pair.key))
        let head = written[0].dropFirst(column(pair.key) + YAMLWriter.scalar(name).count + 1)
        let rest = written.dropFirst().map { text.newline + $0 }.joined()
        // A comment behind the old value stands behind the key then.
        if head.isEmpty, !rest.isEmpty {
            let line = text.bytes[end..<text.lineEnd(end)]
            let lineEnd = line.lastIndex { !"\r\n".utf8.contains($0) }.map { $0 + 1 } ?? end
            return YAMLSplice(colon..<lineEnd, String(decoding: text.bytes[end..<lineEnd], as: UTF8.self) + rest)
        }
        return YAMLSplice(colon..<end, head + rest)
    }

    /// An anchor or a tag in front of a scalar stays.
    private static func skippingProperties(_ start: Int, _ text: YAMLText) -> Int {
        var index = start
        while index < text.bytes.count, text.bytes[index] == UInt8(ascii: "&") || text.bytes[index] == UInt8(ascii: "!")
        {
            while index < text.bytes.count, !" \t\r\n".utf8.contains(text.bytes[index]) { index += 1 }
            while index < text.bytes.count, " \t".utf8.contains(text.bytes[index]) { index += 1 }
        }
        return index
    }

    private static func remove(
        _ key: String,
        of pairs: [(key: YAMLNode, value: YAMLNode)],
        _ parent: YAMLNode,
        _ text: YAMLText
    ) throws(YAMLEditError) -> YAMLSplice {
        guard let index = pairs.firstIndex(where: { YAMLValue.name($0.key) == key }) else { throw .noSuchPlace }
        let pair = pairs[index]
        let start = text.start(pair.key)
        let end = max(text.contentEnd(pair.value), text.contentEnd(pair.key))
        let next = index + 1 < pairs.count ? text.start(pairs[index + 1].key) : nil
        if text.isFlow(parent) {
            return withoutComma(
                start..<end,
                next: next,
                previous: index > 0 ? text.contentEnd(pairs[index - 1].value) : nil,
                in: parent,
                text
            )
        }
        if let column = text.indent(start) {
            return YAMLSplice(text.lineStart(start)..<text.endWithComments(end, deeperThan: column), "")
        }
        // The first key of an item stands behind its dash; the next one takes the place.
        guard index == 0, let next else { throw .cannotBeWritten(line: pair.key.line) }
        return YAMLSplice(start..<next, "")
    }

    // MARK: Items

    private static func append(_ path: ArraySlice<YAMLStep>, _ item: YAMLValue, _ text: YAMLText) throws(YAMLEditError)
        -> YAMLSplice
    {
        guard let list = text.node(path), case .sequence(let items) = list.content else {
            guard text.node(path)?.isEmpty ?? true else { throw .noSuchPlace }
            return try set(path, .list([item]), text)
        }
        guard let last = items.last else {
            // Between its brackets is nothing: it is written anew, as a person would.
            let isNoted = text.bytes[text.start(list)..<text.contentEnd(list)].contains(UInt8(ascii: "#"))
            guard !isNoted, case .key(let key)? = path.last, let parent = text.node(path.dropLast()),
                case .mapping(let pairs) = parent.content,
                let pair = pairs.first(where: { YAMLValue.name($0.key) == key })
            else { return intoBrackets(list, after: nil, YAMLWriter.flow(item), text) }
            return replace(pair, in: parent, .list([item]), text)
        }
        if text.isFlow(list) { return intoBrackets(list, after: text.contentEnd(last), YAMLWriter.flow(item), text) }
        guard let dash = dash(of: last, text), let column = text.indent(dash) else {
            throw .cannotBeWritten(line: last.line)
        }
        return lines(
            YAMLWriter.item(item, indent: column),
            after: text.endWithComments(text.contentEnd(last), deeperThan: column) - 1,
            text
        )
    }

    private static func remove(
        _ index: Int,
        of items: [YAMLNode],
        _ parent: YAMLNode,
        _ text: YAMLText
    ) throws(YAMLEditError) -> YAMLSplice {
        guard items.indices.contains(index) else { throw .noSuchPlace }
        let end = text.contentEnd(items[index])
        if text.isFlow(parent) {
            let next = index + 1 < items.count ? text.start(items[index + 1]) : nil
            return withoutComma(
                text.start(items[index])..<end,
                next: next,
                previous: index > 0 ? text.contentEnd(items[index - 1]) : nil,
                in: parent,
                text
            )
        }
        guard let dash = dash(of: items[index], text), let column = text.indent(dash) else {
            throw .cannotBeWritten(line: items[index].line)
        }
        return YAMLSplice(text.lineStart(dash)..<text.endWithComments(end, deeperThan: column), "")
    }

    /// The dash in front of an item in block style; comments may stand between them.
    private static func dash(of item: YAMLNode, _ text: YAMLText) -> Int? {
        var end = text.start(item)
        while true {
            let start = text.lineStart(end)
            let line = text.bytes[start..<end].prefix { $0 != UInt8(ascii: "#") }
            if let last = line.lastIndex(where: { !" \t\r\n".utf8.contains($0) }) {
                return line[last] == UInt8(ascii: "-") ? last : nil
            }
            guard start > 0 else { return nil }
            end = start - 1
        }
    }

    // MARK: Pieces

    /// Of an item between brackets, with its comma. Comments beside it stay.
    private static func withoutComma(
        _ range: Range<Int>,
        next: Int?,
        previous: Int?,
        in parent: YAMLNode,
        _ text: YAMLText
    ) -> YAMLSplice {
        let bracket = text.contentEnd(parent) - 1
        // A comma may stand behind the last one as well.
        if next != nil || text.comma(in: range.upperBound..<bracket) != nil {
            let end = next ?? bracket
            return YAMLSplice(range.lowerBound..<end, withoutComma(range.upperBound..<end, text))
        }
        guard let previous else { return YAMLSplice(range, "") }
        return YAMLSplice(previous..<range.upperBound, withoutComma(previous..<range.lowerBound, text))
    }

    /// What stands between two items, without the comma; nothing, where that is only blank.
    private static func withoutComma(_ gap: Range<Int>, _ text: YAMLText) -> String {
        var bytes = Array(text.bytes[gap])
        guard bytes.contains(UInt8(ascii: "#")) else { return "" }
        if let comma = text.comma(in: gap) { bytes.remove(at: comma - gap.lowerBound) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Behind the last thing between brackets, or in front of the closing one where a comment stands between them.
    private static func intoBrackets(_ node: YAMLNode, after last: Int?, _ added: String, _ text: YAMLText)
        -> YAMLSplice
    {
        let bracket = text.contentEnd(node) - 1
        let inside = (last ?? text.start(node) + 1)..<bracket
        let hasComma = last == nil || text.comma(in: inside) != nil
        let written = (hasComma ? "" : ", ") + added
        if text.bytes[inside].contains(UInt8(ascii: "#")) { return YAMLSplice(bracket..<bracket, written) }
        var end = bracket
        while end > inside.lowerBound, " \t\r\n".utf8.contains(text.bytes[end - 1]) { end -= 1 }
        return YAMLSplice(end..<end, (hasComma && last != nil ? " " : "") + written)
    }

    /// As lines of their own after the line with `end`.
    private static func lines(_ lines: [String], after end: Int, _ text: YAMLText) -> YAMLSplice {
        let place = text.lineEnd(min(max(end, 0), text.bytes.count))
        let isLineEnded = place == 0 || text.bytes[place - 1] == UInt8(ascii: "\n")
        let written = lines.map { $0 + text.newline }.joined()
        return YAMLSplice(place..<place, (isLineEnded ? "" : text.newline) + written)
    }
}
