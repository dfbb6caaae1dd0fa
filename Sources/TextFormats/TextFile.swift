/// Where a file is not the text that it should be, and how to put that right.
package struct TextFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// From 1.
    package var line: Int
    /// From 1, in bytes.
    package var column: Int
    package var message: String

    package var description: String { "line \(line), column \(column): \(message)" }
}

/// Text files as people save them: UTF-8, with or without the mark that Windows puts in front (YAML 1.2 section 5.2, RFC 8259
/// section 8.1).
package enum TextFile {
    private static let hint = "save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8)"

    /// - Returns: the bytes without a byte order mark. They are checked only for UTF-16, which nothing else would name.
    package static func withoutMark(_ bytes: [UInt8]) throws(TextFileError) -> [UInt8] {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return Array(bytes[3...]) }
        if let error = wideText(bytes) { throw error }
        return bytes
    }

    /// - Returns: the text without a byte order mark.
    package static func text(_ bytes: [UInt8]) throws(TextFileError) -> String {
        let bytes = try withoutMark(bytes)
        if let fault = fault(bytes) { throw fault }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A password or token: the text without its last line end, be it LF or CR LF.
    package static func secret(_ bytes: [UInt8]) throws(TextFileError) -> String {
        var text = try text(bytes)[...].utf8
        while let last = text.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { text.removeLast() }
        return String(Substring(text))
    }

    /// The first place that is not UTF-8 or no text at all; nil where there is none.
    package static func fault(_ bytes: [UInt8]) -> TextFileError? {
        if let error = wideText(bytes) { return error }
        var (line, lineStart, index) = (1, 0, 0)
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x80 {
                guard byte != 0 else {
                    return TextFileError(line: line, column: index - lineStart + 1, message: "has a NUL byte: \(hint)")
                }
                index += 1
                if byte == UInt8(ascii: "\n") { (line, lineStart) = (line + 1, index) }
                continue
            }
            let length = sequenceLength(bytes, index)
            guard length > 0 else {
                let place = (line: line, column: index - lineStart + 1)
                return TextFileError(
                    line: place.line,
                    column: place.column,
                    message: "is not UTF-8: \(foreign(byte)); \(hint)"
                )
            }
            index += length
        }
        return nil
    }

    /// What the byte would be where Western Windows wrote it.
    private static func foreign(_ byte: UInt8) -> String {
        let code = "the byte 0x" + String(byte, radix: 16, uppercase: true)
        return byte >= 0xA0 ? "\(code) is \"\(Character(UnicodeScalar(byte)))\" in Latin-1" : "\(code) stands here"
    }

    /// UTF-16 or UTF-32 begin with a mark, or have every other byte zero.
    private static func wideText(_ bytes: [UInt8]) -> TextFileError? {
        let isMarked = bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF])
        let isZeroed = bytes.count >= 4 && (bytes[0] == 0) != (bytes[1] == 0) && (bytes[2] == 0) != (bytes[3] == 0)
        guard isMarked || isZeroed else { return nil }
        return TextFileError(line: 1, column: 1, message: "is UTF-16: \(hint)")
    }

    /// Bytes of the character at `index` (RFC 3629 section 4); 0 where there is none.
    private static func sequenceLength(_ bytes: [UInt8], _ index: Int) -> Int {
        func next(_ offset: Int) -> UInt8 { index + offset < bytes.count ? bytes[index + offset] : 0 }
        func follows(_ offsets: ClosedRange<Int>) -> Bool { offsets.allSatisfy { next($0) & 0xC0 == 0x80 } }
        switch bytes[index] {
        case 0xC2...0xDF: return follows(1...1) ? 2 : 0
        case 0xE0: return next(1) >= 0xA0 && follows(1...2) ? 3 : 0
        case 0xED: return next(1) < 0xA0 && follows(1...2) ? 3 : 0
        case 0xE1...0xEF: return follows(1...2) ? 3 : 0
        case 0xF0: return next(1) >= 0x90 && follows(1...3) ? 4 : 0
        case 0xF1...0xF3: return follows(1...3) ? 4 : 0
        case 0xF4: return next(1) < 0x90 && follows(1...3) ? 4 : 0
        default: return 0
        }
    }
}
