/// Decodes a chunked body (RFC 9112 section 7.1), strictly and in whatever pieces it arrives.
///
///     size line ──▶ data ──▶ CRLF ──▶ size line …  "0" ──▶ trailer lines ──▶ empty line: finished
///
/// Chunk extensions are checked and dropped. Trailer fields are handed out as they stand.
package struct ChunkedDecoder {
    /// Octets of one size line, with its extensions.
    package static let sizeLineLimit = 256
    /// Octets of all extensions of one body.
    package static let extensionLimit = 16384
    /// Octets of all trailer lines of one body.
    package static let trailerLimit = 8192

    package enum Event {
        /// Octets of the input that are body.
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
    private var extensionOctets = 0
    private var trailerOctets = 0
    private var isLineFeedDue = false
    private var isLineComplete = false
    /// The line in progress; reused, so a body costs no allocation after its first chunk.
    package private(set) var trailerLine: [UInt8] = []
    /// Octets of the input used so far, counted from where `next` was first called with this input.
    package var consumed = 0

    package init() {}

    /// Takes the next step through `input`, from `consumed` on. Set `consumed` to zero with each new input.
    package mutating func next(_ input: UnsafeRawBufferPointer) throws(HTTP1Error) -> Event {
        while true {
            switch state {
            case .sizeLine:
                guard try readLine(input, limit: Self.sizeLineLimit, error: .invalidChunkSize) else { return .needMore }
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
                let expected = isLineFeedDue ? Octets.lf : Octets.cr
                guard input[consumed] == expected else { throw .missingChunkEnd }
                consumed += 1
                if isLineFeedDue { state = .sizeLine }
                isLineFeedDue.toggle()
            case .trailers:
                if isLineComplete { trailerLine.removeAll(keepingCapacity: true) }
                isLineComplete = false
                guard try readLine(input, limit: Self.trailerLimit, error: .trailersTooLarge) else { return .needMore }
                isLineComplete = true
                guard !trailerLine.isEmpty else {
                    state = .finished
                    return .finished
                }
                trailerOctets += trailerLine.count
                guard trailerOctets <= Self.trailerLimit else { throw .trailersTooLarge }
                return try trailerField()
            case .finished:
                return .finished
            }
        }
    }

    private func trailerField() throws(HTTP1Error) -> Event {
        guard trailerLine[0] != Octets.space, trailerLine[0] != Octets.tab else { throw .foldedField }
        guard let colon = trailerLine.firstIndex(of: Octets.colon), colon > 0,
            trailerLine[..<colon].allSatisfy(Octets.isToken)
        else { throw .invalidFieldName }
        guard trailerLine[colon...].allSatisfy(Octets.isFieldValue) else { throw .invalidFieldValue }
        var start = colon + 1
        var end = trailerLine.count
        while start < end, trailerLine[start] == Octets.space || trailerLine[start] == Octets.tab { start += 1 }
        while end > start, trailerLine[end - 1] == Octets.space || trailerLine[end - 1] == Octets.tab { end -= 1 }
        return .trailer(name: 0..<colon, value: start..<end)
    }

    /// Collects octets up to CRLF into `trailerLine`.
    ///
    /// - Returns: whether the line is complete.
    private mutating func readLine(
        _ input: UnsafeRawBufferPointer,
        limit: Int,
        error: HTTP1Error
    ) throws(HTTP1Error) -> Bool {
        while consumed < input.count {
            let octet = input[consumed]
            consumed += 1
            if isLineFeedDue {
                guard octet == Octets.lf else { throw .bareCarriageReturn }
                isLineFeedDue = false
                return true
            }
            switch octet {
            case Octets.cr: isLineFeedDue = true
            case Octets.lf: throw .bareLineFeed
            default:
                guard trailerLine.count < limit else { throw error }
                trailerLine.append(octet)
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
        if index < trailerLine.count {
            guard trailerLine[index] == UInt8(ascii: ";") else { throw .invalidChunkSize }
            extensionOctets += trailerLine.count - index
            guard extensionOctets <= Self.extensionLimit else { throw .chunkExtensionTooLong }
            guard areExtensions(trailerLine[index...]) else { throw .invalidChunkSize }
        }
        return value
    }

    /// `*( ";" name [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112 section 7.1.1 calls bad.
    private func areExtensions(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while !rest.isEmpty {
            guard rest.removeFirst() == UInt8(ascii: ";") else { return false }
            let name = rest.prefix(while: Octets.isToken)
            guard !name.isEmpty else { return false }
            rest = rest.dropFirst(name.count)
            guard rest.first == UInt8(ascii: "=") else { continue }
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "\"") {
                guard let end = endOfQuotedString(rest) else { return false }
                rest = rest[end...]
            } else {
                let value = rest.prefix(while: Octets.isToken)
                guard !value.isEmpty else { return false }
                rest = rest.dropFirst(value.count)
            }
        }
        return true
    }

    private func endOfQuotedString(_ text: ArraySlice<UInt8>) -> Int? {
        var index = text.startIndex + 1
        while index < text.endIndex {
            guard Octets.isFieldValue(text[index]) else { return nil }
            if text[index] == UInt8(ascii: "\"") { return index + 1 }
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    private func hexDigit(_ octet: UInt8) -> Int? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(octet - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(octet - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(octet - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
