internal import NIOHTTP1

/// A body of `multipart/form-data` (RFC 7578): named parts, taken whole.
package struct MultipartForm: Sendable {
    package struct Part: Sendable {
        package var name: String
        package var content: [UInt8]
    }

    package static let maxParts = 64

    package private(set) var parts: [Part] = []

    /// - Returns: nil for what is not such a body, whole and well-formed.
    package init?(_ request: HTTPRequest) {
        guard let type = request.headers.first(name: "content-type"), let boundary = Self.boundary(type) else {
            return nil
        }
        let mark = Array("--\(boundary)".utf8)
        let body = request.body
        guard body.starts(with: mark) else { return nil }
        var position = mark.count
        while true {
            if body[position...].starts(with: Array("--".utf8)) { break }
            guard body[position...].starts(with: [0x0D, 0x0A]), parts.count < Self.maxParts else { return nil }
            position += 2
            guard let headEnd = Self.find(Array("\r\n\r\n".utf8), in: body, from: max(position - 2, 0)),
                let end = Self.find([0x0D, 0x0A] + mark, in: body, from: headEnd + 4),
                let name = Self.name(String(decoding: body[position..<max(headEnd, position)], as: UTF8.self))
            else { return nil }
            parts.append(Part(name: name, content: Array(body[min(headEnd + 4, end)..<end])))
            position = end + 2 + mark.count
        }
    }

    /// The contents of the parts with a name.
    package subscript(_ name: String) -> [[UInt8]] { parts.filter { $0.name == name }.map(\.content) }

    private static func boundary(_ type: String) -> String? {
        let pieces = type.split(separator: ";").map { $0.drop { $0 == " " } }
        guard pieces.first?.lowercased().filter({ $0 != " " }) == "multipart/form-data",
            let piece = pieces.first(where: { $0.lowercased().hasPrefix("boundary=") })
        else { return nil }
        let text = piece.dropFirst("boundary=".count).filter { $0 != "\"" }
        return (1...70).contains(text.utf8.count) ? String(text) : nil
    }

    /// Of the part whose head this is.
    private static func name(_ head: String) -> String? {
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-disposition:") {
            for piece in line.split(separator: ";").map({ $0.drop { $0 == " " } }) where piece.hasPrefix("name=") {
                return piece.dropFirst("name=".count).filter { $0 != "\"" }
            }
        }
        return nil
    }

    private static func find(_ needle: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        guard body.count >= needle.count, start <= body.count - needle.count else { return nil }
        return (start...(body.count - needle.count)).first { position in
            body[position] == needle[0] && body[position..<(position + needle.count)].elementsEqual(needle)
        }
    }
}
