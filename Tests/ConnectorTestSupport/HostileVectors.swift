internal import Foundation

/// The requests in `http1-hostile.json`; the file itself says what its fields mean.
package struct HostileVector: Decodable, Sendable, CustomStringConvertible {
    package var id: String
    package var category: String
    package var raw: String
    package var expect: String
    package var also_ok: [String]?
    package var status: [Int]?
    package var responses: Responses?
    package var second: [Int]?
    package var must_close: Bool?
    package var must_reach: [String]?
    package var must_not_reach: [String]?
    package var never: [Int]?
    package var half_close: Bool?
    package var head: Bool?
    package var needs: String?

    package var description: String { id }

    /// A number, or a smallest and a largest one.
    package struct Responses: Decodable, Sendable {
        package var range: ClosedRange<Int>

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let count = try? container.decode(Int.self) {
                range = count...count
            } else {
                let bounds = try container.decode([Int].self)
                range = bounds[0]...bounds[1]
            }
        }
    }

    private struct Document: Decodable { var vectors: [HostileVector] }

    package static let all = Vectors.load("http1-hostile.json", as: Document.self).vectors

    /// The bytes to send.
    ///
    /// - Parameter isAbsolute: with the request target in absolute form.
    package func bytes(host: String = "backend.test", isAbsolute: Bool) -> [UInt8] {
        Vectors.bytes(expand(raw, host: host, isAbsolute: isAbsolute))
    }

    package func expand(_ text: String, host: String = "backend.test", isAbsolute: Bool) -> String {
        var text = text
        for (placeholder, value) in [
            ("{HPCT}", host.replacingOccurrences(of: ".", with: "%2e")), ("{HU}", host.uppercased()),
            ("{T}", isAbsolute ? "http://\(host)" : ""), ("{A}", ""), ("{ID}", id.lowercased()), ("{H}", host),
        ] {
            text = text.replacingOccurrences(of: placeholder, with: value)
        }
        text = Self.repeated(text)
        let scalars = Array(text.unicodeScalars)
        if let end = scalars.indices.first(where: { scalars[$0...].starts(with: "\r\n\r\n".unicodeScalars) }) {
            text = text.replacingOccurrences(of: "{LEN}", with: String(scalars.count - end - 4))
        }
        return text
    }

    /// `{REP:s:n}` and `{REPN:s:n}`, innermost first.
    private static func repeated(_ text: String) -> String {
        var text = text
        // Bytes, not characters: in a Swift string CRLF is one of them.
        let pattern =
            (try? NSRegularExpression(
                pattern: "\\{REP(N?):([^{}]*):([0-9]+)\\}",
                options: .dotMatchesLineSeparators
            ))!
        while let match = pattern.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) {
            let part = { (index: Int) in (text as NSString).substring(with: match.range(at: index)) }
            let count = Int(part(3))!
            let piece = part(2)
            let expanded = (0..<count).map { number in
                part(1).isEmpty ? piece : piece.replacingOccurrences(of: "%d", with: String(number))
            }.joined()
            text = (text as NSString).replacingCharacters(in: match.range, with: expanded)
        }
        return text
    }
}
