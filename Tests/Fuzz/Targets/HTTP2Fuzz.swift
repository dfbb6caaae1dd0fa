import NIOCore

@testable import TunnelCore

/// A session of either role, whose streams do what programs do: answer, send bodies, give credit or not, give up, and end the
/// session from within its callbacks.
enum HTTP2Fuzz {
    static func service(_ input: UnsafeRawBufferPointer) { run(.client, input) }
    static func connector(_ input: UnsafeRawBufferPointer) { run(.server, input) }

    private static func run(_ role: HTTP2Session.Role, _ input: UnsafeRawBufferPointer) {
        var input = FuzzInput(input)
        let driver = Driver(role, steering: input.byte())
        defer { driver.end() }
        if role == .server {
            // What every peer begins with, so that inputs need not find it.
            guard driver.receive(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]) else {
                return
            }
        } else {
            guard driver.receive([0, 0, 0, 4, 0, 0, 0, 0, 0]) else { return }
            for _ in 0..<4 { driver.request() }
        }
        driver.produce()
        while let piece = input.piece() {
            guard driver.receive(Array(piece)) else { return }
            driver.produce()
        }
    }

    private final class Driver: HTTP2SessionDelegate {
        let session: HTTP2Session
        private let steering: UInt8
        private var time: UInt64 = 0
        private var isEndWanted = false
        private var receivers: [Receiver] = []

        init(_ role: HTTP2Session.Role, steering: UInt8) {
            session = HTTP2Session(role, configuration: HTTP2Configuration(maxConcurrentStreams: 16, frameBudget: 2000))
            self.steering = steering
            session.delegate = self
        }

        func receive(_ bytes: [UInt8]) -> Bool {
            time += 10_000_000
            let now = NIODeadline.uptimeNanoseconds(time)
            guard (try? bytes.withUnsafeBytes { try session.receive($0, now: now) }) != nil else { return false }
            guard !isEndWanted else { return false }
            session.endBatch()
            return true
        }

        func produce() {
            for _ in 0..<8 {
                guard let output = try? session.produce(limit: 64 << 10), output.readableBytes > 0 else { return }
            }
        }

        func request() {
            let fields = FieldBlock()
            fields.append(":method", "POST")
            fields.append(":scheme", "http")
            fields.append(":authority", "host")
            fields.append(":path", "/")
            let receiver = Receiver(self, steering)
            receivers.append(receiver)
            receiver.stream = try? session.openStream(fields, isEnd: steering & 1 == 0, receiver: receiver)
        }

        func wantEnd() { if session.atRest == nil { isEndWanted = true } }

        func end() {
            guard let proof = session.atRest else { preconditionFailure("at work outside of a call") }
            session.failAll(.tunnelClosed, proof)
            session.delegate = nil
            for receiver in receivers { receiver.stream = nil }
        }

        func session(_ session: HTTP2Session, accept stream: HTTP2Stream) -> (any StreamReceiver)? {
            guard steering & 2 == 0 || receivers.count % 3 != 2 else { return nil }
            let receiver = Receiver(self, steering)
            receiver.stream = stream
            receivers.append(receiver)
            return receiver
        }
        func sessionNeedsFlush(_ session: HTTP2Session) {}
        func session(_ session: HTTP2Session, receivedPingAcknowledgement payload: UInt64) {}
        func sessionReceivedSettings(_ session: HTTP2Session) { session.ping(7) }
        func session(_ session: HTTP2Session, receivedGoAway goAway: GoAway) {}
        func sessionPostponesResets(_ session: HTTP2Session) {}
    }

    private final class Receiver: StreamReceiver {
        private unowned let driver: Driver
        private let steering: UInt8
        var stream: HTTP2Stream?

        init(_ driver: Driver, _ steering: UInt8) {
            self.driver = driver
            self.steering = steering
        }

        private func answer(isEnd: Bool) {
            guard let stream, driver.session.role == .server else { return }
            let fields = FieldBlock()
            fields.append(status: 200)
            stream.send(head: fields, isEnd: isEnd)
        }

        func streamReceived(head fields: FieldBlock, isEnd: Bool) {
            for index in 0..<fields.count { _ = fields.name(index).count + fields.value(index).count }
            if steering & 4 != 0 { driver.wantEnd() }
            answer(isEnd: steering & 8 != 0)
        }
        func streamReceived(interim fields: FieldBlock) { if steering & 16 != 0 { stream?.cancel(.cancel) } }
        func streamReceived(body: UnsafeRawBufferPointer) {
            if steering & 32 == 0 { stream?.returnCredit(body.count) }
            stream?.send(body: body)
            if steering & 64 != 0 { driver.wantEnd() }
        }
        func streamReceivedEnd(trailers: FieldBlock?) { stream?.finish(trailers: trailers) }
        func streamFailed(_ failure: StreamError) { if steering & 128 != 0 { driver.wantEnd() } }
        func streamBecameWritable() { stream?.send(body: UnsafeRawBufferPointer(start: nil, count: 0)) }
        func streamBatchEnded() { if steering & 128 != 0 { stream?.cancel(.noError) } }
    }
}
