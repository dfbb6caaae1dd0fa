internal import NIOCore
internal import TunnelCore

/// What one service asks another, on a stream of its own: what it would show as its status.
enum PeerQuestion {
    static let authority = "connectivity-service"
    static let path = "/status"
    /// Bytes of an answer.
    static let limit = 16 << 20
    static let timeout = TimeAmount.seconds(2)

    // MARK: The one who answers

    static func answer(_ fields: FieldBlock, _ stream: HTTP2Stream, _ hub: TunnelHub, _ eventLoop: any EventLoop) {
        guard fields.text(":path") == path, fields.text(":authority") == authority, let facts = hub.facts else {
            return stream.cancel(.refusedStream)
        }
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        Task {
            let bytes = await facts()
            eventLoop.execute {
                let fields = FieldBlock(capacity: 256, fields: 4)
                fields.append(status: 200)
                fields.append("content-type", "application/json")
                bound.value.send(head: fields, isEnd: false)
                unsafe bytes.withUnsafeBytes { unsafe bound.value.send(body: $0) }
                bound.value.finish(trailers: nil)
            }
        }
    }

    // MARK: The one who asks

    /// - Parameter tunnel: to the one that is asked.
    static func ask(_ tunnel: RegisteredTunnel) -> EventLoopFuture<[UInt8]> {
        let promise = tunnel.eventLoop.makePromise(of: [UInt8].self)
        let handler = tunnel.handler
        tunnel.eventLoop.execute {
            let fields = FieldBlock(capacity: 256, fields: 4)
            fields.append(":method", "GET")
            fields.append(":scheme", "https")
            fields.append(":authority", authority)
            fields.append(":path", path)
            let answer = Answer(promise)
            do throws(HTTP2Error) {
                guard handler.value.isUsable else { throw HTTP2Error(.refused, "the connection ends") }
                answer.stream = try handler.value.session.openStream(fields, isEnd: true, receiver: answer)
            } catch {
                answer.end(.failure(error))
            }
            let bound = NIOLoopBound(answer, eventLoop: handler.eventLoop)
            handler.eventLoop.scheduleTask(in: timeout) {
                bound.value.end(
                    .failure(PeerError(description: "no answer within \(timeout.nanoseconds / 1_000_000_000) seconds"))
                )
            }
        }
        return promise.futureResult
    }

    private final class Answer: StreamReceiver {
        var stream: HTTP2Stream?
        private var promise: EventLoopPromise<[UInt8]>?
        private var bytes: [UInt8] = []

        init(_ promise: EventLoopPromise<[UInt8]>) { self.promise = promise }

        func end(_ result: Result<[UInt8], any Error>) {
            guard let promise else { return }
            self.promise = nil
            stream?.cancel(.cancel)
            stream = nil
            promise.completeWith(result)
        }

        func streamReceived(head fields: FieldBlock, isEnd: Bool) {
            if isEnd || fields.text(":status") != "200" { end(.failure(PeerError(description: "it does not say"))) }
        }
        func streamReceived(interim fields: FieldBlock) {}

        func streamReceived(body: UnsafeRawBufferPointer) {
            guard bytes.count + body.count <= limit else {
                return end(.failure(PeerError(description: "its answer is longer than \(limit >> 20) MiB")))
            }
            bytes += unsafe Array(body)
            stream?.returnCredit(body.count)
        }

        func streamReceivedEnd(trailers: FieldBlock?) { end(.success(bytes)) }
        func streamFailed(_ failure: StreamError) { end(.failure(failure)) }
        func streamBecameWritable() {}
        func streamBatchEnded() {}
    }
}
