internal import FoundationEssentials

/// Values as JSON, one on each line.
package enum JSONLines {
    package static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Our own types always encode: they hold no floating-point infinities and no cycles.
        let octets = (try? encoder.encode(value)).map { Array($0) } ?? Array("{}".utf8)
        return octets + [UInt8(ascii: "\n")]
    }

    /// - Throws: `JSONAmbiguity`, or what the decoder says.
    package static func decode<Value: Decodable>(_ type: Value.Type, _ octets: some Sequence<UInt8>) throws -> Value {
        let octets = Array(octets)
        // The decoder would take UTF-16 as well; in UTF-8, JSON has no such octet.
        guard !octets.contains(0) else { throw JSONAmbiguity.notUTF8 }
        let value = try decodeUnchecked(type, octets)
        try JSONNames.check(octets)
        return value
    }

    static func decodeUnchecked<Value: Decodable>(_ type: Value.Type, _ octets: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(octets))
    }

    /// What is wrong with JSON that `decode` did not take, for the one who wrote it.
    package static func fault(_ error: any Error) -> String {
        (error as? JSONAmbiguity).map { "ambiguous JSON: \($0)" } ?? "not JSON"
    }
}

/// Puts lines together from the pieces in which they arrive.
package struct LineBuffer: Sendable {
    package struct TooLong: Error, CustomStringConvertible {
        package var limit: Int
        package var description: String { "a line is longer than \(limit) octets" }
    }

    private let limit: Int
    private var rest: [UInt8] = []

    /// - Parameter limit: octets of one line.
    package init(limit: Int) { self.limit = limit }

    /// - Returns: the lines that are complete now, without their ends.
    package mutating func append(_ octets: UnsafeRawBufferPointer) throws(TooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        for index in 0..<octets.count where octets[index] == UInt8(ascii: "\n") {
            rest.append(contentsOf: octets[start..<index])
            guard rest.count <= limit else { throw TooLong(limit: limit) }
            lines.append(rest)
            rest.removeAll(keepingCapacity: true)
            start = index + 1
        }
        rest.append(contentsOf: octets[start...])
        guard rest.count <= limit else { throw TooLong(limit: limit) }
        return lines
    }
}
