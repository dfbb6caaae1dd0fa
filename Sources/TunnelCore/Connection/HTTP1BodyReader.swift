/// Takes a message's body out of the bytes of its connection, in whatever pieces they arrive: by length, in chunks, or up to
/// the end of the connection (RFC 9112 section 6). One for each message, on either side.
///
///     length ──its last byte──▶ finished
///     chunks ──the last chunk and its trailers──▶ finished
///     until the connection closes: never finished by itself
package struct HTTP1BodyReader: ~Copyable {
    /// A piece of a body.
    package enum Part: Equatable {
        /// Bytes of the input that are body.
        case data(Range<Int>)
        /// All input up to `consumed` was used; more is needed.
        case needMore
        case finished
    }

    private var state: State
    /// Bytes of the input used so far, since `rewind`. What follows a finished body is not of it.
    package private(set) var consumed = 0
    /// Trailer fields that may travel on; nil for none.
    package private(set) var trailers: FieldBlock?
    /// The chunks were not exactly RFC 9112's: their sender is not trusted with another message on the connection.
    package private(set) var isLenient = false

    /// - Parameter kind: of the message; a response may be written less exactly.
    package init(_ framing: BodyFraming, of kind: HTTP1HeadParser.Kind) {
        switch framing {
        case .none, .length(0): state = .finished
        case .length(let length): state = .length(length)
        case .chunked: state = .chunks(ChunkedDecoder(kind))
        case .untilClose: state = .untilClose
        }
    }

    package var isFinished: Bool {
        switch state {
        case .finished: true
        default: false
        }
    }

    /// Whether the end of the connection is the end of the body.
    package var endsWithConnection: Bool {
        switch state {
        case .untilClose: true
        default: false
        }
    }

    /// Called with each new input, before `next`.
    package mutating func rewind() { consumed = 0 }

    /// Takes the next step through `input`, from `consumed` on.
    ///
    /// - Throws: for chunks that are not exactly RFC 9112's; there is no next step then.
    package mutating func next(_ input: UnsafeRawBufferPointer) throws(HTTP1Error) -> Part {
        try unsafe state.next(input, &consumed, &trailers, &isLenient)
    }

    /// Reads a copy of what is here, to know of a mistake in it before any of it is used.
    package func check(_ input: UnsafeRawBufferPointer) throws(HTTP1Error) {
        switch state {
        case .chunks(let decoder):
            var decoder = decoder
            while true {
                switch try unsafe decoder.next(input) {
                case .data, .trailer: continue
                case .needMore, .finished: return
                }
            }
        default: return
        }
    }

    private enum State: ~Copyable {
        case length(Int)
        case chunks(ChunkedDecoder)
        case untilClose
        case finished

        mutating func next(
            _ input: UnsafeRawBufferPointer,
            _ consumed: inout Int,
            _ trailers: inout FieldBlock?,
            _ isLenient: inout Bool
        ) throws(HTTP1Error) -> Part {
            switch consume self {
            case .length(let remaining):
                let range = consumed..<min(consumed + remaining, input.count)
                consumed = range.upperBound
                self = range.count == remaining ? .finished : .length(remaining - range.count)
                return range.isEmpty ? .needMore : .data(range)
            case .untilClose:
                self = .untilClose
                let range = consumed..<input.count
                consumed = input.count
                return range.isEmpty ? .needMore : .data(range)
            case .finished:
                self = .finished
                return .finished
            case .chunks(var decoder):
                do throws(HTTP1Error) {
                    decoder.consumed = consumed
                    let part = try unsafe HTTP1BodyReader.step(&decoder, input, &trailers)
                    consumed = decoder.consumed
                    isLenient = decoder.isLenient
                    self = part == .finished ? .finished : .chunks(decoder)
                    return part
                } catch {
                    self = .finished
                    throw error
                }
            }
        }
    }

    private static func step(
        _ decoder: inout ChunkedDecoder,
        _ input: UnsafeRawBufferPointer,
        _ trailers: inout FieldBlock?
    ) throws(HTTP1Error) -> Part {
        while true {
            switch try unsafe decoder.next(input) {
            case .data(let range): return .data(range)
            case .needMore: return .needMore
            case .finished: return .finished
            case .trailer(let name, let value):
                unsafe decoder.trailerLine.withUnsafeBytes { unsafe keep($0, name, value, &trailers) }
            }
        }
    }

    private static func keep(
        _ line: UnsafeRawBufferPointer,
        _ name: Range<Int>,
        _ value: Range<Int>,
        _ trailers: inout FieldBlock?
    ) {
        let name = unsafe UnsafeRawBufferPointer(rebasing: line[name])
        guard unsafe KnownField.identify(name).field.isForwardedInTrailers else { return }
        let fields = trailers ?? FieldBlock(capacity: 256, fields: 8)
        unsafe fields.append(name, UnsafeRawBufferPointer(rebasing: line[value]))
        trailers = fields
    }
}
