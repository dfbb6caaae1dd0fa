/// Writes values as people would: plain where nothing speaks against it, in block style with two columns for each level.
package enum YAMLWriter {
    /// Values in one line, between others: `{path: /x, access: path-only}`.
    static func flow(_ value: YAMLValue) -> String {
        switch value {
        case .nothing: "\"\""
        case .word(let text): text
        case .text(let text): scalar(text, isInFlow: true)
        case .list(let items): "[" + items.map(flow).joined(separator: ", ") + "]"
        case .mapping(let entries):
            "{" + entries.map { "\(scalar($0.key, isInFlow: true)): \(flow($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    /// The lines of a key and its value in block style.
    package static func entry(_ key: String, _ value: YAMLValue, indent: Int) -> [String] {
        let name = String(repeating: " ", count: indent) + scalar(key) + ":"
        switch value {
        case .nothing: return [name]
        case .word(let text): return ["\(name) \(text)"]
        case .text(let text): return ["\(name) \(scalar(text))"]
        case .list(let items) where items.isEmpty: return ["\(name) []"]
        case .mapping(let entries) where entries.isEmpty: return ["\(name) {}"]
        case .list(let items): return [name] + items.flatMap { item($0, indent: indent + 2) }
        case .mapping(let entries): return [name] + entries.flatMap { entry($0.key, $0.value, indent: indent + 2) }
        }
    }

    /// The lines of an item of a list in block style. The first begins with the dash, the others are as deep as what follows it.
    package static func item(_ value: YAMLValue, indent: Int) -> [String] {
        let dash = String(repeating: " ", count: indent) + "- "
        guard case .mapping(let entries) = value, !entries.isEmpty else { return [dash + flow(value)] }
        var lines = entries.flatMap { entry($0.key, $0.value, indent: indent + 2) }
        lines[0] = dash + lines[0].dropFirst(indent + 2)
        return lines
    }

    /// How a text is quoted where it stands.
    enum Quotes { case none, single, double }

    /// A text as a scalar.
    ///
    /// - Parameter quotes: those to be used if they can hold it.
    static func scalar(_ text: String, isInFlow: Bool = false, quotes: Quotes = .none) -> String {
        let hasControls = text.unicodeScalars.contains {
            $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || isBreak($0)
        }
        switch quotes {
        case .none where isPlain(text, isInFlow): return text
        case .single where !hasControls:
            return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
        default: return "\"" + text.unicodeScalars.map(escaped).joined() + "\""
        }
    }

    /// Other characters that end a line, and the mark of byte order (YAML 1.1 section 4.2).
    private static func isBreak(_ scalar: Unicode.Scalar) -> Bool {
        [0x2028, 0x2029, 0xFEFF].contains(scalar.value)
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default:
            guard scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) || isBreak(scalar) else {
                return String(scalar)
            }
            let digits = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }

    /// Whether a text needs no quotes, and would not be taken for something else than a text by others who read the file.
    private static func isPlain(_ text: String, _ isInFlow: Bool) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return false }
        let indicators = Array("-?:,[]{}#&*!|>'\"%@`~ .+".utf8)
        guard !indicators.contains(first), last != UInt8(ascii: " "), last != UInt8(ascii: ":") else { return false }
        guard !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) || isAddress(text) else { return false }
        guard !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(text.lowercased()) else {
            return false
        }
        for (index, byte) in bytes.enumerated() {
            if byte < 0x20 || byte == 0x7F { return false }
            if byte == UInt8(ascii: ":"), bytes[index + 1] == UInt8(ascii: " ") || isInFlow { return false }
            if byte == UInt8(ascii: "#"), bytes[index - 1] == UInt8(ascii: " ") { return false }
            if isInFlow, ",[]{}".utf8.contains(byte) { return false }
        }
        return !text.unicodeScalars.contains { (0x80..<0xA0).contains($0.value) || isBreak($0) }
    }

    /// `10.1.2.3:8080`, or `5s`, and other words that begin with a digit and are no number in any notation.
    private static func isAddress(_ text: String) -> Bool {
        let numeral = Array("0123456789.eExX_:+-".utf8)
        if text.contains(where: { $0.isLetter && !"eExXoO".contains($0) }) { return true }
        return text.filter { $0 == "." }.count == 3 && text.utf8.allSatisfy { numeral.contains($0) }
    }
}
