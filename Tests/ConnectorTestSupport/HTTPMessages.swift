internal import Foundation

/// Simple readings of HTTP/1.1 for tests, forgiving where our own codec is strict.
package struct SimpleResponse: Sendable {
    package var status: Int
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]

    package func field(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    package var text: String { String(decoding: body, as: UTF8.self) }
}

package enum SimpleHTTP {
    /// The position after the first empty line.
    package static func headEnd(_ bytes: ArraySlice<UInt8>) -> Int? {
        let end = Array("\r\n\r\n".utf8)
        guard bytes.count >= 4 else { return nil }
        for index in bytes.startIndex...(bytes.endIndex - 4) where bytes[index..<(index + 4)].elementsEqual(end) {
            return index + 4
        }
        return nil
    }

    package static func fields(_ head: ArraySlice<UInt8>) -> [(name: String, value: String)] {
        String(decoding: head, as: UTF8.self).components("\r\n").dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            return (String(line[..<colon]), String(value))
        }
    }

    /// - Parameter head: in lower case.
    package static func contentLength(_ head: String) -> Int {
        guard let range = head.range(of: "content-length: ") else { return 0 }
        return Int(head[range.upperBound...].prefix { $0.isNumber }) ?? 0
    }

    /// Where the message that begins at `start` ends; nil if it is not complete.
    package static func messageEnd(_ bytes: [UInt8], from start: Int, hasBody: Bool = true) -> Int? {
        guard let bodyStart = headEnd(bytes[start...]) else { return nil }
        let fields = fields(bytes[start..<bodyStart])
        let value = { (name: String) in fields.first { $0.name.lowercased() == name }?.value }
        guard hasBody else { return bodyStart }
        if value("transfer-encoding")?.lowercased() == "chunked" { return chunkedEnd(bytes, bodyStart)?.end }
        let end = bodyStart + (value("content-length").flatMap { Int($0) } ?? 0)
        return end <= bytes.count ? end : nil
    }

    /// The end of a chunked body, and its content.
    package static func chunkedEnd(_ bytes: [UInt8], _ start: Int) -> (end: Int, content: [UInt8])? {
        var index = start
        var content: [UInt8] = []
        func line() -> ArraySlice<UInt8>? {
            var end = index
            while end + 1 < bytes.count, !(bytes[end] == 13 && bytes[end + 1] == 10) { end += 1 }
            guard end + 1 < bytes.count else { return nil }
            defer { index = end + 2 }
            return bytes[index..<end]
        }
        while let size = line() {
            guard let count = Int(String(decoding: size.prefix { $0 != 59 }, as: UTF8.self), radix: 16) else {
                return nil
            }
            if count == 0 {
                while let trailer = line() { if trailer.isEmpty { return (index, content) } }
                return nil
            }
            guard bytes.count >= index + count + 2 else { return nil }
            content += bytes[index..<(index + count)]
            index += count + 2
        }
        return nil
    }

    /// All responses in `bytes`, interim ones included.
    ///
    /// - Parameter isHead: the first final response has no body.
    package static func responses(_ bytes: [UInt8], isHead: Bool = false) -> [SimpleResponse] {
        var responses: [SimpleResponse] = []
        var start = 0
        var isHead = isHead
        while start < bytes.count, let bodyStart = headEnd(bytes[start...]) {
            let head = bytes[start..<bodyStart]
            guard let status = Int(String(decoding: head.dropFirst(9).prefix(3), as: UTF8.self)) else { break }
            let fields = fields(head)
            let value = { (name: String) in fields.first { $0.name.lowercased() == name }?.value }
            var end = bodyStart
            var body: [UInt8] = []
            // Our own errors have no body either for HEAD.
            let hasBody = status >= 200 && status != 204 && status != 304 && !isHead
            if hasBody, value("transfer-encoding") != nil {
                guard let chunked = chunkedEnd(bytes, bodyStart) else { break }
                (end, body) = chunked
            } else if hasBody, let length = value("content-length").flatMap({ Int($0) }) {
                end = min(bytes.count, bodyStart + length)
                body = Array(bytes[bodyStart..<end])
            } else if hasBody {
                end = bytes.count
                body = Array(bytes[bodyStart...])
            }
            if status >= 200 { isHead = false }
            responses.append(SimpleResponse(status: status, fields: fields, body: body))
            start = end
        }
        return responses
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [Substring] {
        // Unicode makes one character of CRLF, which suits here.
        split(separator: Character(separator), omittingEmptySubsequences: true)
    }
}

extension TestServer {
    /// Answers every request on a connection with what `respond` makes of it, until one asks for the end.
    package static func http(
        port: Int = 0,
        _ respond: @escaping @Sendable (_ request: String, _ body: [UInt8]) -> String
    ) -> TestServer {
        TestServer(port: port) { socket, _ in
            var bytes: [UInt8] = []
            while let piece = socket.receive(), !piece.isEmpty {
                bytes += piece
                while let end = SimpleHTTP.messageEnd(bytes, from: 0) {
                    let headEnd = SimpleHTTP.headEnd(bytes[...])!
                    let response = respond(
                        String(decoding: bytes[..<headEnd], as: UTF8.self),
                        Array(bytes[headEnd..<end])
                    )
                    bytes.removeFirst(end)
                    guard socket.send(response) else { return }
                    if response.contains("Connection: close") { return socket.close() }
                }
            }
            socket.close()
        }
    }

    /// A response with a body of known length.
    package static func ok(_ body: String, fields: String = "") -> String {
        "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }
}
