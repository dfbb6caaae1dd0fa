/// Java's `.properties`, in which the cockpit exports destinations (java.util.Properties, `load` and `store`).
package enum PropertiesFormat {
    /// - Throws: for a bad escape, and for a key that stands twice, which Java would take silently.
    package static func parse(_ text: String) throws(DestinationFileError) -> [String: String] {
        var result: [String: String] = [:]
        var parser = Parser(text)
        while let (line, key, value) = try parser.next() {
            guard result.updateValue(value, forKey: key) == nil else {
                throw DestinationFileError(line: line, "\"\(key)\" stands here a second time")
            }
        }
        return result
    }

    /// Lines as Java's Properties reads them, escaped where they must be.
    package static func write(_ pairs: [(key: String, value: String)]) -> String {
        "#\n" + pairs.map { escape($0.key, isKey: true) + "=" + escape($0.value, isKey: false) + "\n" }.joined()
    }

    private static func escape(_ text: String, isKey: Bool) -> String {
        var result = ""
        for (index, unit) in text.utf16.enumerated() {
            switch unit {
            case 0x20: result += isKey || index == 0 ? "\\ " : " "
            case 0x09: result += "\\t"
            case 0x0a: result += "\\n"
            case 0x0d: result += "\\r"
            case 0x0c: result += "\\f"
            case 0x23, 0x21, 0x3d, 0x3a, 0x5c: result += "\\" + String(UnicodeScalar(UInt8(unit)))
            case 0x21...0x7e: result += String(UnicodeScalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16, uppercase: true)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return result
    }

    private struct Parser {
        private let lines: [[UInt16]]
        private var index = 0

        init(_ text: String) {
            var lines: [[UInt16]] = [[]]
            var isAfterReturn = false
            for unit in text.utf16 {
                if unit == 0x0a, isAfterReturn {
                    isAfterReturn = false
                    continue
                }
                isAfterReturn = unit == 0x0d
                if unit == 0x0a || unit == 0x0d { lines.append([]) } else { lines[lines.count - 1].append(unit) }
            }
            self.lines = lines
        }

        private static func isBlank(_ unit: UInt16) -> Bool { unit == 0x20 || unit == 0x09 || unit == 0x0c }

        /// The next pair and the line, from 1, in which it begins.
        mutating func next() throws(DestinationFileError) -> (line: Int, key: String, value: String)? {
            while index < lines.count {
                var units = Array(lines[index].drop(while: Self.isBlank))
                let line = index + 1
                index += 1
                guard let first = units.first, first != 0x23, first != 0x21 else { continue }
                while Self.isContinued(units) {
                    units.removeLast()
                    guard index < lines.count else { break }
                    units += lines[index].drop(while: Self.isBlank)
                    index += 1
                }
                let (key, value) = try Self.split(units, line)
                return (line, key, value)
            }
            return nil
        }

        /// A line that ends with an odd number of backslashes goes on in the next one.
        private static func isContinued(_ units: [UInt16]) -> Bool {
            units.reversed().prefix { $0 == 0x5c }.count % 2 == 1
        }

        private static func split(_ units: [UInt16], _ line: Int) throws(DestinationFileError) -> (
            key: String, value: String
        ) {
            var end = 0
            while end < units.count, units[end] != 0x3d, units[end] != 0x3a, !isBlank(units[end]) {
                end += units[end] == 0x5c ? 2 : 1
            }
            end = min(end, units.count)
            var start = end
            while start < units.count, isBlank(units[start]) { start += 1 }
            if start < units.count, units[start] == 0x3d || units[start] == 0x3a {
                start += 1
                while start < units.count, isBlank(units[start]) { start += 1 }
            }
            return (try unescape(units[..<end], line), try unescape(units[start...], line))
        }

        private static func unescape(_ units: ArraySlice<UInt16>, _ line: Int) throws(DestinationFileError) -> String {
            var result: [UInt16] = []
            var iterator = units.makeIterator()
            while let unit = iterator.next() {
                guard unit == 0x5c else {
                    result.append(unit)
                    continue
                }
                switch iterator.next() {
                case nil: break
                case 0x74: result.append(0x09)
                case 0x6e: result.append(0x0a)
                case 0x72: result.append(0x0d)
                case 0x66: result.append(0x0c)
                case 0x75:
                    let digits = (0..<4).compactMap { _ in iterator.next() }
                    guard digits.count == 4, digits.allSatisfy({ $0 < 0x80 && $0 != 0x2b && $0 != 0x2d }),
                        let code = UInt16(String(decoding: digits, as: UTF16.self), radix: 16)
                    else { throw DestinationFileError(line: line, "\\u needs four hexadecimal digits") }
                    result.append(code)
                case .some(let other): result.append(other)
                }
            }
            return String(decoding: result, as: UTF16.self)
        }
    }
}
