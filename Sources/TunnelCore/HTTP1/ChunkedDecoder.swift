/// Decodes a chunked body (RFC 9112 section 7.1) in whatever pieces it arrives: a request's strictly, a response's with the
/// blanks after a size and the lone LFs that some servers write.
///
///     size line ──▶ data ──▶ CRLF ──▶ size line …  "0" ──▶ trailer lines ──▶ empty line: finished
///
/// Chunk extensions are checked and dropped. Trailer fields are handed out as they stand.
package struct ChunkedDecoder {
    /// Bytes of one size line, with its extensions.
    package static let sizeLineLimit = 256
    /// Bytes of all extensions of one body.
    package static let extensionLimit = 16384
    /// Bytes of all trailer lines of one body.
    package static let trailerLimit = 8192

    /// What the next bytes are.
    package enum Event {
        /// Bytes of the input that are body.
        case data(Range<Int>)
        /// One trailer field; ranges of `trailerLine`.
        case trailer(name: Range<Int>, value: Range<Int>)
        /// All input up to `consumed` was used; more is needed.
        case needMore
        case finished
    }

    private enum State {
        case sizeLine, data, dataEnd, trailers, finished
    }

    private var state = State.sizeLine
    private var remaining = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var isLineFeedDue = false
    private var isLineComplete = false
    /// The line in progress; reused, so a body costs no allocation after its first chunk.
    package private(set) var trailerLine: [UInt8] = []
    /// Bytes of the input used so far, counted from where `next` was first called with this input.
    package var consumed = 0
    private let kind: HTTP1HeadParser.Kind
    /// The sender does not write chunks exactly as RFC 9112 wants them. Responses only.
    package private(set) var isLenient = false

    package init(_ kind: HTTP1HeadParser.Kind) { self.kind = kind }

    /// Takes the next step through `input`, from `consumed` on. Set `consumed` to zero with each new input.
    package mutating func next(_ input: UnsafeRawBufferPointer) throws(HTTP1Error) -> Event {
        while true {
            switch state {
            case .sizeLine:
                guard try unsafe readLine(input, limit: Self.sizeLineLimit, error: .invalidChunkSize) else {
                    return .needMore
                }
                remaining = try chunkSize()
                trailerLine.removeAll(keepingCapacity: true)
                state = remaining == 0 ? .trailers : .data
            case .data:
                guard consumed < input.count else { return .needMore }
                let count = min(remaining, input.count - consumed)
                let range = consumed..<(consumed + count)
                consumed += count
                remaining -= count
                if remaining == 0 { state = .dataEnd }
                return .data(range)
            case .dataEnd:
                guard consumed < input.count else { return .needMore }
                switch unsafe input[consumed] {
                case Bytes.cr where !isLineFeedDue: isLineFeedDue = true
                case Bytes.lf where isLineFeedDue || kind == .response:
                    if !isLineFeedDue { isLenient = true }
                    isLineFeedDue = false
                    state = .sizeLine
                default: throw .missingChunkEnd
                }
                consumed += 1
            case .trailers:
                if isLineComplete { trailerLine.removeAll(keepingCapacity: true) }
                isLineComplete = false
                guard try unsafe readLine(input, limit: Self.trailerLimit, error: .trailersTooLarge) else {
                    return .needMore
                }
                isLineComplete = true
                guard !trailerLine.isEmpty else {
                    state = .finished
                    return .finished
                }
                trailerBytes += trailerLine.count
                guard trailerBytes <= Self.trailerLimit else { throw .trailersTooLarge }
                return try trailerField()
            case .finished:
                return .finished
            }
        }
    }

    private func trailerField() throws(HTTP1Error) -> Event {
        guard trailerLine[0] != Bytes.space, trailerLine[0] != Bytes.tab else { throw .foldedField }
        guard let colon = trailerLine.firstIndex(of: Bytes.colon), colon > 0,
            trailerLine[..<colon].allSatisfy(Bytes.isToken)
        else { throw .invalidFieldName }
        guard trailerLine[colon...].allSatisfy(Bytes.isFieldValue) else { throw .invalidFieldValue }
        var start = colon + 1
        var end = trailerLine.count
        while start < end, trailerLine[start] == Bytes.space || trailerLine[start] == Bytes.tab { start += 1 }
        while end > start, trailerLine[end - 1] == Bytes.space || trailerLine[end - 1] == Bytes.tab { end -= 1 }
        return .trailer(name: 0..<colon, value: start..<end)
    }

    /// Collects bytes up to CRLF into `trailerLine`.
    ///
    /// - Returns: whether the line is complete.
    private mutating func readLine(
        _ input: UnsafeRawBufferPointer,
        limit: Int,
        error: HTTP1Error
    ) throws(HTTP1Error) -> Bool {
        while consumed < input.count {
            let byte = unsafe input[consumed]
            consumed += 1
            if isLineFeedDue {
                guard byte == Bytes.lf else { throw .bareCarriageReturn }
                isLineFeedDue = false
                return true
            }
            switch byte {
            case Bytes.cr: isLineFeedDue = true
            case Bytes.lf:
                guard kind == .response else { throw .bareLineFeed }
                isLenient = true
                return true
            default:
                guard trailerLine.count < limit else { throw error }
                trailerLine.append(byte)
            }
        }
        return false
    }

    private mutating func chunkSize() throws(HTTP1Error) -> Int {
        var value = 0
        var index = 0
        while index < trailerLine.count, let digit = hexDigit(trailerLine[index]) {
            guard value < 1 << 58 else { throw .invalidChunkSize }
            value = value << 4 | digit
            index += 1
        }
        guard index > 0, index <= 16 else { throw .invalidChunkSize }
        if kind == .response {
            while let last = trailerLine.last, last == Bytes.space || last == Bytes.tab {
                trailerLine.removeLast()
                isLenient = true
            }
            let blanks = trailerLine[index...].prefix { $0 == Bytes.space || $0 == Bytes.tab }.count
            if blanks > 0 { isLenient = true }
            index += blanks
        }
        if index < trailerLine.count {
            guard trailerLine[index] == UInt8(ascii: ";") else { throw .invalidChunkSize }
            extensionBytes += trailerLine.count - index
            guard extensionBytes <= Self.extensionLimit else { throw .chunkExtensionTooLong }
            guard areExtensions(trailerLine[index...]) else { throw .invalidChunkSize }
        }
        return value
    }

    /// `*( ";" name [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112 section 7.1.1 calls bad.
    private func areExtensions(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while !rest.isEmpty {
            guard rest.removeFirst() == UInt8(ascii: ";") else { return false }
            let name = rest.prefix(while: Bytes.isToken)
            guard !name.isEmpty else { return false }
            rest = rest.dropFirst(name.count)
            guard rest.first == UInt8(ascii: "=") else { continue }
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "\"") {
                guard let end = endOfQuotedString(rest) else { return false }
                rest = rest[end...]
            } else {
                let value = rest.prefix(while: Bytes.isToken)
                guard !value.isEmpty else { return false }
                rest = rest.dropFirst(value.count)
            }
        }
        return true
    }

    private func endOfQuotedString(_ text: ArraySlice<UInt8>) -> Int? {
        var index = text.startIndex + 1
        while index < text.endIndex {
            guard Bytes.isFieldValue(text[index]) else { return nil }
            if text[index] == UInt8(ascii: "\"") { return index + 1 }
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    private func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
