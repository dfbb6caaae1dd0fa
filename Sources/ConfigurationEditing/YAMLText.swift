internal import TextFormats
package import YAMLDocument

/// Why a change was not made. Nothing was written.
package enum YAMLEditError: Error, Equatable, CustomStringConvertible {
    /// It is not YAML.
    case notYAML(YAMLError)
    /// There is no such place in it.
    case noSuchPlace
    /// The text around it is written in a way that this change would disturb.
    case cannotBeWritten(line: Int)

    package var description: String {
        switch self {
        case .notYAML(let error): "line \(error.line), column \(error.column): \(error.message)"
        case .noSuchPlace: "there is no such place in the file"
        case .cannotBeWritten(let line):
            "line \(line) is written in a way that only a person can change without touching what stands beside it: edit the file by hand"
        }
    }
}

/// The text of a YAML document that is changed as a person would change it: only the bytes that have to be. Comments, blank
/// lines, order and quotes of everything else stay.
///
/// Each change is read back and compared with what was asked; a text that says anything else is never returned.
package struct YAMLText: Sendable {
    package private(set) var bytes: [UInt8]
    package private(set) var root: YAMLNode
    /// Of each Unicode scalar, and of the end, its first byte; empty for ASCII, where they are the same.
    private var offsets: [Int] = []

    /// - Parameter bytes: a whole file, with or without a byte order mark.
    package init(_ bytes: [UInt8]) throws(YAMLEditError) {
        self.bytes = bytes
        do throws(YAMLError) {
            let text = (try? TextFile.withoutMark(bytes)) ?? bytes
            let start = YAMLNode(content: .mapping([]), line: 1, column: 1)
            root = try YAMLReader.read(text) ?? start
        } catch {
            throw .notYAML(error)
        }
        if bytes.contains(where: { $0 >= 0x80 }) {
            // libyaml counts characters, and a mark in front is none.
            for index in bytes.indices where bytes[index] & 0xC0 != 0x80 { offsets.append(index) }
            offsets.append(bytes.count)
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offsets.removeFirst() }
        }
    }

    package var value: YAMLValue { YAMLValue(root) }

    /// Makes one change.
    package mutating func apply(_ change: YAMLChange) throws(YAMLEditError) {
        guard let wanted = value.changed(change) else { throw .noSuchPlace }
        let splice = try YAMLSplice.of(change, in: self)
        var changed = bytes
        changed.replaceSubrange(splice.range, with: splice.bytes)
        let result: YAMLText
        do throws(YAMLEditError) { result = try YAMLText(changed) } catch {
            throw .cannotBeWritten(line: line(splice.range.lowerBound))
        }
        guard result.value == wanted else { throw .cannotBeWritten(line: line(splice.range.lowerBound)) }
        self = result
    }

    // MARK: Places

    func byte(_ scalar: Int) -> Int { offsets.isEmpty ? scalar : offsets[min(scalar, offsets.count - 1)] }
    func start(_ node: YAMLNode) -> Int { byte(node.span.lowerBound) }

    private func line(_ byte: Int) -> Int { 1 + bytes[..<byte].count { $0 == UInt8(ascii: "\n") } }

    /// The first byte of the line with this byte.
    func lineStart(_ byte: Int) -> Int { (bytes[..<byte].lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1 }

    /// Behind the end of the line with this byte.
    func lineEnd(_ byte: Int) -> Int { bytes[byte...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count }

    /// As the file has it.
    var newline: String {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), end > 0 else { return "\n" }
        return bytes[end - 1] == UInt8(ascii: "\r") ? "\r\n" : "\n"
    }

    /// In the style of JSON, between brackets.
    func isFlow(_ node: YAMLNode) -> Bool {
        let start = start(node)
        guard start < bytes.count else { return false }
        switch node.content {
        case .scalar: return false
        case .sequence: return bytes[start] == UInt8(ascii: "[")
        case .mapping: return bytes[start] == UInt8(ascii: "{")
        }
    }

    /// Behind the last byte that belongs to a node, without comments and blank lines after it.
    func contentEnd(_ node: YAMLNode) -> Int {
        switch node.content {
        case .sequence(let items) where !isFlow(node) && !items.isEmpty: return contentEnd(items[items.count - 1])
        case .mapping(let pairs) where !isFlow(node) && !pairs.isEmpty:
            let last = pairs[pairs.count - 1]
            return max(contentEnd(last.value), contentEnd(last.key))
        default:
            var end = byte(node.span.upperBound)
            let start = start(node)
            while end > start, " \t\r\n".utf8.contains(bytes[end - 1]) { end -= 1 }
            return end
        }
    }

    /// The first comma that is in no comment, between two items in brackets.
    func comma(in gap: Range<Int>) -> Int? {
        var isComment = false
        for index in gap {
            switch bytes[index] {
            case UInt8(ascii: "#"): isComment = true
            case UInt8(ascii: "\n"): isComment = false
            case UInt8(ascii: ",") where !isComment: return index
            default: break
            }
        }
        return nil
    }

    /// Columns in front of a byte, if there is nothing but spaces.
    func indent(_ byte: Int) -> Int? {
        let start = lineStart(byte)
        return bytes[start..<byte].allSatisfy { $0 == UInt8(ascii: " ") } ? byte - start : nil
    }

    /// Where the lines after `end` stop being comments deeper than `column`: such comments belong to what ends there.
    func endWithComments(_ end: Int, deeperThan column: Int) -> Int {
        var (result, line) = (lineEnd(end), lineEnd(end))
        while line < bytes.count {
            let text = bytes[line..<lineEnd(line)]
            guard let first = text.firstIndex(where: { $0 != UInt8(ascii: " ") }), bytes[first] == UInt8(ascii: "#"),
                first - line > column
            else { break }
            line = lineEnd(line)
            result = line
        }
        return result
    }

    func node(_ path: ArraySlice<YAMLStep>) -> YAMLNode? {
        var node = root
        for step in path {
            switch (step, node.content) {
            case (.item(let index), .sequence(let items)) where items.indices.contains(index): node = items[index]
            case (.key(let key), .mapping(let pairs)):
                guard let pair = pairs.first(where: { YAMLValue.name($0.key) == key }) else { return nil }
                node = pair.value
            default: return nil
            }
        }
        return node
    }
}
