/// JSON that a reader may take for something else than its writer meant.
package enum JSONError: Error, CustomStringConvertible {
    /// Readers differ in which of the two they take (RFC 8259 section 4).
    case repeatedName(String)
    /// RFC 8259 section 8.1.
    case notUTF8

    package var description: String {
        switch self {
        case .repeatedName(let name): "\"\(name)\" appears twice in one object"
        case .notUTF8: "it must be UTF-8"
        }
    }
}

/// Looks through JSON that is known to be well-formed for objects with a name twice, in one pass and without recursion.
struct JSONNames {
    private enum Level { case array, object(names: Set<[UInt8]>, isName: Bool) }

    private var levels: [Level] = []

    /// - Parameter text: well-formed JSON.
    static func check(_ text: [UInt8]) throws(JSONError) {
        var names = JSONNames()
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "{"): names.levels.append(.object(names: [], isName: true))
            case UInt8(ascii: "["): names.levels.append(.array)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = names.levels.popLast()
            case UInt8(ascii: ","): names.expect(isName: true)
            case UInt8(ascii: ":"): names.expect(isName: false)
            case UInt8(ascii: "\""):
                let end = endOfString(text, index + 1)
                try names.take(text[(index + 1)..<end])
                index = end
            default: break
            }
            index += 1
        }
    }

    private mutating func expect(isName: Bool) {
        guard case .object(let names, _)? = levels.popLast() else { return levels.append(.array) }
        levels.append(.object(names: names, isName: isName))
    }

    private mutating func take(_ content: ArraySlice<UInt8>) throws(JSONError) {
        guard case .object(var names, true)? = levels.last else { return }
        levels.removeLast()
        let name = content.contains(UInt8(ascii: "\\")) ? Self.unescaped(content) : Array(content)
        guard names.insert(name).inserted else { throw .repeatedName(String(decoding: name, as: UTF8.self)) }
        levels.append(.object(names: names, isName: true))
    }

    /// The place of the quote that ends a string.
    private static func endOfString(_ text: [UInt8], _ start: Int) -> Int {
        var index = start
        while index < text.count, text[index] != UInt8(ascii: "\"") {
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(index, text.count)
    }

    private static func unescaped(_ content: ArraySlice<UInt8>) -> [UInt8] {
        let quoted = [UInt8(ascii: "\"")] + content + [UInt8(ascii: "\"")]
        return (try? JSONLines.decodeUnchecked(String.self, quoted)).map { Array($0.utf8) } ?? Array(content)
    }
}
