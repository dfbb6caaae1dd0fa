import AccessPolicy

@testable import TunnelCore

/// What our codec says about a client's bytes: for each message, how its head and body were read, or why not.
struct HTTP1Verdict: Equatable {
    var requests: [String] = []
    var error: HTTP1Error?
    /// The head parser leaves the target to `RequestTarget`; both together decide at the entry.
    var badTarget: RequestTargetError?
    /// The last message has begun and not ended.
    var isIncomplete = false

    /// - Parameter pieceLength: how many bytes arrive at a time.
    init(_ bytes: [UInt8], pieceLength: Int = .max) {
        var parser = HTTP1HeadParser(.request)
        var reader = MessageReader()
        var received = 0
        do throws(HTTP1Error) {
            while received < bytes.count {
                received = min(bytes.count, received + min(pieceLength, bytes.count))
                try reader.take(bytes, upTo: received, &parser)
            }
        } catch {
            self.error = error
        }
        requests = reader.requests
        badTarget = reader.badTarget
        isIncomplete = reader.start < bytes.count || reader.body != nil
    }

    private struct MessageReader {
        var requests: [String] = []
        var start = 0
        var body: BodyFraming?
        var chunks = ChunkedDecoder(.request)
        var line = ""
        var content: [UInt8] = []
        var badTarget: RequestTargetError?

        var isKeptAlive = true

        mutating func take(
            _ bytes: [UInt8],
            upTo end: Int,
            _ parser: inout HTTP1HeadParser
        ) throws(HTTP1Error) {
            // After the last message of a connection nothing is read any more.
            while start < end, isKeptAlive || body != nil {
                let result: Result<Bool, HTTP1Error> = bytes.withUnsafeBytes { all in
                    let piece = UnsafeRawBufferPointer(rebasing: all[start..<end])
                    do throws(HTTP1Error) {
                        return .success(try step(piece, &parser))
                    } catch {
                        return .failure(error)
                    }
                }
                if try !result.get() { return }
            }
        }

        /// - Returns: whether there may be more to do with the bytes at hand.
        private mutating func step(
            _ piece: UnsafeRawBufferPointer,
            _ parser: inout HTTP1HeadParser
        ) throws(HTTP1Error) -> Bool {
            switch body {
            case nil:
                guard try parser.parse(piece) else { return false }
                let framing = try parser.requestFraming(piece)
                let method = String(decoding: piece[parser.method], as: UTF8.self)
                line = "\(method) \(String(decoding: piece[parser.target], as: UTF8.self)) \(parser.fieldCount)"
                let target = Array(piece[parser.target])
                do throws(RequestTargetError) {
                    _ = try RequestTarget(target.span)
                } catch {
                    badTarget = error
                }
                body = framing.body
                isKeptAlive = framing.isKeptAlive
                chunks = ChunkedDecoder(.request)
                content = []
                start += parser.headLength
                parser.reset()
                if framing.body == .none { finish() }
                return true
            case .length(let length):
                let count = min(length - content.count, piece.count)
                content += piece[..<count]
                start += count
                if content.count == length { finish() }
                return count > 0
            case .chunked:
                chunks.consumed = 0
                while true {
                    switch try chunks.next(piece) {
                    case .data(let range): content += piece[range]
                    case .trailer: break
                    case .needMore:
                        start += chunks.consumed
                        return false
                    case .finished:
                        start += chunks.consumed
                        finish()
                        return true
                    }
                }
            case .some(.none), .untilClose: return false
            }
        }

        private mutating func finish() {
            requests.append("\(line) \(content.count) \(content.reduce(0) { ($0 &* 31) &+ Int($1) })")
            body = nil
        }
    }
}
