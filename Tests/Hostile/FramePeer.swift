import ConnectorTestSupport
import Cryptography
import EpollTransport
import Foundation
import NIOCore
import TunnelCore

/// One end of a tunnel that speaks it frame by frame: a connector that dials the service, or a service that a connector has
/// dialled. For one thread.
final class FramePeer {
    private let socket: Socket
    private let tls: TLSSession
    private var bytes: [UInt8] = []
    private(set) var isClosed = false
    /// Bytes that the control stream may still carry: what the service gives at first, and what it has added since.
    fileprivate(set) var credit = 256 << 10

    private init(_ socket: Socket, _ context: TLSContext, serverName: String?) throws {
        self.socket = socket
        tls = try TLSSession(context, serverName: serverName, peer: "the peer", buffers: LoopBuffers())
        try tls.handshake()
        flush()
        while tls.state == .handshaking {
            guard let piece = socket.receive(), !piece.isEmpty else { throw RigError("no handshake") }
            tls.receive(ByteBuffer(bytes: piece))
            try tls.handshake()
            flush()
        }
    }

    /// A connector with a certificate of its own.
    static func connector(_ port: Int, _ identity: HostileRig.Identity) throws -> FramePeer {
        let context = try TLSContext(
            TLSConfiguration(
                role: .client,
                certificateChain: .file(identity.certificate),
                privateKey: .file(identity.key),
                trust: .anchors([.file(identity.anchor)]),
                applicationProtocols: TunnelDialect.standard.applicationProtocols
            )
        )
        return try FramePeer(try Socket(connectingTo: port), context, serverName: "localhost")
    }

    /// A service, with the certificates that `connectord certificates` has left in a folder.
    static func service(_ socket: Socket, _ folder: URL) throws -> FramePeer {
        let context = try TLSContext(
            TLSConfiguration(
                role: .server,
                certificateChain: .file(folder.appending(path: "service.pem").path),
                privateKey: .file(folder.appending(path: "service.key").path),
                trust: .anchors([.file(folder.appending(path: "ca.pem").path)]),
                requiresClientCertificate: true,
                applicationProtocols: TunnelDialect.standard.applicationProtocols
            )
        )
        return try FramePeer(socket, context, serverName: nil)
    }

    deinit { socket.close() }

    private func flush() {
        if let ciphertext = tls.takeCiphertext() {
            isClosed = !socket.send(Array(ciphertext.readableBytesView)) || isClosed
        }
    }

    // MARK: Bytes

    /// Sends all of it as one piece.
    ///
    /// - Returns: whether the connection still stands.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        guard !isClosed, (try? tls.write(ByteBuffer(bytes: bytes))) != nil else { return false }
        flush()
        return !isClosed
    }

    @discardableResult
    func send(_ frames: Frame...) -> Bool { send(frames.flatMap(\.bytes)) }

    /// Takes what is there, after waiting for so many milliseconds at most.
    func receive(within milliseconds: Int) {
        guard !isClosed, socket.isReadable(within: milliseconds) else { return }
        guard let piece = socket.receive(), !piece.isEmpty else { return isClosed = true }
        tls.receive(ByteBuffer(bytes: piece))
        var plaintext = ByteBuffer()
        if (try? tls.read(into: &plaintext)) == nil || tls.state == .closed { isClosed = true }
        bytes += Array(plaintext.readableBytesView)
    }

    // MARK: Frames

    /// The next frame that is here. Settings and pings are answered: hostile is what the test does beside.
    private func take() -> Frame? {
        guard let frame = Frame.take(&bytes) else { return nil }
        if frame.flags & 1 == 0, [Frame.Kind.settings, Frame.Kind.ping].contains(frame.type) {
            let isSettings = frame.type == Frame.Kind.settings
            send(Frame(type: frame.type, flags: 1, payload: isSettings ? [] : frame.payload))
        }
        return frame
    }

    /// The next frame that `isWanted`; nil where none comes.
    func next(_ isWanted: (Frame) -> Bool) -> Frame? {
        let end = DispatchTime.now() + .seconds(Socket.timeout)
        while true {
            while let frame = take() { if isWanted(frame) { return frame } }
            guard !isClosed, DispatchTime.now() < end else { return nil }
            receive(within: 100)
        }
    }

    /// Forgets the frames that are there, but for the credit that they give.
    fileprivate func takeCredit(of stream: UInt32) {
        while let frame = take() {
            guard frame.type == Frame.Kind.windowUpdate, frame.stream == stream else { continue }
            credit += Int(frame.payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff)
        }
    }

    /// Sends bodies on these streams as fast as there is credit, until there has been none for a second.
    func fill(_ streams: [UInt32]) {
        let piece = [UInt8](repeating: 1, count: 16 << 10)
        var windows = Dictionary(uniqueKeysWithValues: streams.map { ($0, 256 << 10) })
        while true {
            var isMoving = false
            for (stream, window) in windows where window >= piece.count {
                send(.data(stream, piece))
                windows[stream] = window - piece.count
                isMoving = true
            }
            receive(within: isMoving ? 0 : 1000)
            while let frame = take() {
                guard frame.type == Frame.Kind.windowUpdate, windows[frame.stream] != nil else { continue }
                windows[frame.stream]! += Int(frame.payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff)
                isMoving = true
            }
            if !isMoving { return }
        }
    }

    /// As a connector: waits for the service's first frames, answers them, takes the control stream and introduces itself.
    ///
    /// - Parameter streams: that the service may have open at a time.
    func introduce(session: String = UUID().uuidString, startedAt: Int = 1, streams: UInt32 = 200) throws {
        send(.settings([(UInt16(8), UInt32(1)), (UInt16(3), streams)]))
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        while bytes.count < preface.count, !isClosed { receive(within: 1000) }
        guard bytes.starts(with: preface) else { throw RigError("no preface") }
        bytes.removeFirst(preface.count)
        guard next({ $0.type == Frame.Kind.headers }) != nil else { throw RigError("no control stream") }
        let hello =
            #"{"hello":{"session":"\#(session)","version":"1","description":"hostile","startedAt":\#(startedAt)}}"#
        send(.response(1))
        say(hello)
        // Its welcome says that requests come from now on.
        guard next({ $0.type == Frame.Kind.data && $0.stream == 1 }) != nil else { throw RigError("no welcome") }
    }

    /// A line on the control stream.
    func say(_ line: String) { sendData(1, Array((line + "\n").utf8)) }

    /// As a connector: the stream of the next request.
    func nextRequest() throws -> UInt32 {
        guard let frame = next({ $0.type == Frame.Kind.headers && $0.stream > 1 }) else { throw RigError("no request") }
        return frame.stream
    }

    /// As a service: the first frames of both sides.
    func begin() throws {
        send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame.settings().bytes)
        guard next({ $0.type == Frame.Kind.settings && $0.flags == 0 }) != nil else { throw RigError("no settings") }
    }

    /// Sends the same bytes over and over until the other side closes.
    ///
    /// - Returns: after how many seconds it did; nil where it did not within `limit`.
    func flood(_ bytes: [UInt8], for limit: Double = 10) -> Double? {
        let batch = Array(repeatElement(bytes, count: max(1, 65536 / bytes.count)).joined())
        let start = DispatchTime.now()
        while true {
            let isOpen = send(batch)
            receive(within: 0)
            let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
            if !isOpen || isClosed { return seconds }
            self.bytes.removeAll()
            if seconds > limit { return nil }
        }
    }
}

/// Data that keeps to the window which the peer gives.
extension FramePeer {
    func sendData(_ stream: UInt32, _ bytes: [UInt8]) {
        while credit < bytes.count, !isClosed {
            receive(within: 1000)
            takeCredit(of: stream)
        }
        credit -= bytes.count
        send(.data(stream, bytes))
    }
}
