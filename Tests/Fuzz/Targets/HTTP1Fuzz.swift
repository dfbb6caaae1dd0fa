@testable import TunnelCore

/// Heads and chunked bodies. What arrives in pieces must end as what arrives at once.
enum HTTP1Fuzz {
    static func request(_ input: UnsafeRawBufferPointer) {
        guard let length = check(input, .request) else { return }
        var parser = HTTP1HeadParser(.request, limits: HTTP1Limits())
        guard (try? parser.parse(input)) == true else { return }
        precondition(parser.headLength == length)
        guard let framing = try? parser.requestFraming(input) else { return }
        if framing.nominatesFields {
            for index in 0..<parser.fieldCount { _ = parser.isNominated(parser[index], input) }
        }
        for index in 0..<parser.fieldCount {
            let field = parser[index]
            precondition(field.name.upperBound <= length && field.value.upperBound <= length)
        }
    }

    static func response(_ input: UnsafeRawBufferPointer) {
        guard let length = check(input, .response) else { return }
        var parser = HTTP1HeadParser(.response, limits: HTTP1Limits())
        guard (try? parser.parse(input)) == true else { return }
        precondition(parser.headLength == length)
        _ = try? parser.responseFraming(input, isHead: false)
        _ = try? parser.responseFraming(input, isHead: true)
    }

    /// - Returns: the length of the head, which must be the same however it is cut; nil where there is none.
    private static func check(_ input: UnsafeRawBufferPointer, _ kind: HTTP1HeadParser.Kind) -> Int? {
        var parser = HTTP1HeadParser(kind, limits: HTTP1Limits())
        let whole = Result { try parser.parse(input) }
        var other = HTTP1HeadParser(kind, limits: HTTP1Limits())
        var pieces: Result<Bool, any Error> = .success(false)
        var end = 0
        while end < input.count, case .success(false) = pieces {
            end += 1
            let part = UnsafeRawBufferPointer(rebasing: input[..<end])
            pieces = Result { try other.parse(part) }
        }
        switch (whole, pieces) {
        case (.success(true), .success(true)):
            precondition(parser.headLength == other.headLength)
            return parser.headLength
        case (.success(false), .success(false)), (.failure, .failure): return nil
        default: preconditionFailure("cut into pieces, it is something else")
        }
    }

    static func chunks(_ input: UnsafeRawBufferPointer) {
        var input = FuzzInput(input)
        var pending: [UInt8] = []
        var decoder = ChunkedDecoder(.request)
        while let piece = input.piece() {
            pending += piece
            let isOver = pending.withUnsafeBytes { bytes in
                decoder.consumed = 0
                while true {
                    guard let event = try? decoder.next(bytes) else { return true }
                    switch event {
                    case .data(let range): precondition(range.upperBound <= bytes.count && !range.isEmpty)
                    case .trailer(let name, let value):
                        precondition(name.upperBound <= decoder.trailerLine.count)
                        precondition(value.upperBound <= decoder.trailerLine.count)
                    case .needMore: return false
                    case .finished: return true
                    }
                }
            }
            if isOver { return }
            pending.removeFirst(decoder.consumed)
        }
    }
}
