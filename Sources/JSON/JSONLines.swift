internal import FoundationEssentials

/// Values as JSON, one on each line.
package enum JSONLines {
    /// One line with its end; keys in alphabetical order, so that equal values are equal bytes.
    package static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Our own types always encode: they hold no floating-point infinities and no cycles.
        let bytes = (try? encoder.encode(value)).map { Array($0) } ?? Array("{}".utf8)
        return bytes + [UInt8(ascii: "\n")]
    }

    /// - Throws: `JSONError`, or what the decoder says.
    package static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: some Sequence<UInt8>) throws -> Value {
        let bytes = Array(bytes)
        // The decoder would take UTF-16 as well; in UTF-8, JSON has no such byte.
        guard !bytes.contains(0) else { throw JSONError.notUTF8 }
        let value = try decodeUnchecked(type, bytes)
        try JSONNames.check(bytes)
        return value
    }

    static func decodeUnchecked<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// What is wrong with JSON that `decode` did not take, for the one who wrote it.
    package static func fault(_ error: any Error) -> String {
        (error as? JSONError).map { "ambiguous JSON: \($0)" } ?? "not JSON"
    }
}

/// A line that does not end.
package struct LineTooLongError: Error, CustomStringConvertible {
    package var limit: Int
    package var description: String { "a line is longer than \(limit) bytes" }
}

/// Puts lines together from the pieces in which they arrive.
package struct LineBuffer: Sendable {
    private let limit: Int
    private var rest: [UInt8] = []

    /// - Parameter limit: bytes of one line.
    package init(limit: Int) { self.limit = limit }

    /// - Returns: the lines that are complete now, without their ends.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(LineTooLongError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        for index in 0..<bytes.count where unsafe bytes[index] == UInt8(ascii: "\n") {
            unsafe rest.append(contentsOf: bytes[start..<index])
            guard rest.count <= limit else { throw LineTooLongError(limit: limit) }
            lines.append(rest)
            rest.removeAll(keepingCapacity: true)
            start = index + 1
        }
        unsafe rest.append(contentsOf: bytes[start...])
        guard rest.count <= limit else { throw LineTooLongError(limit: limit) }
        return lines
    }
}
