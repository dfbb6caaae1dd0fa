import Foundation

/// One end of a WebSocket connection, as a client or a server of it.
package struct WebSocketPeer {
    package let socket: Socket
    private let isClient: Bool
    private var bytes: [UInt8] = []

    package init(_ socket: Socket, isClient: Bool, read: [UInt8] = []) {
        (self.socket, self.isClient) = (socket, isClient)
        bytes = read
    }

    /// The key of RFC 6455 section 1.3, and what answers it.
    package static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    package static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// As a server computes it, without the code that is tested (RFC 6455 section 4.2.2, FIPS 180-4).
    package static func accept(_ key: String) -> String {
        var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        var message = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        let bits = UInt64(message.count * 8)
        message.append(0x80)
        while message.count % 64 != 56 { message.append(0) }
        message += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) }
        func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
        for start in stride(from: 0, to: message.count, by: 64) {
            var words = (0..<16).map { index in
                message[(start + index * 4)..<(start + index * 4 + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            for index in 16..<80 {
                words.append(rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1))
            }
            var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
            for index in 0..<80 {
                let (mix, constant): (UInt32, UInt32) =
                    switch index {
                    case ..<20: ((b & c) | (~b & d), 0x5A82_7999)
                    case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                    case ..<60: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
                    default: (b ^ c ^ d, 0xCA62_C1D6)
                    }
                let next = rotate(a, 5) &+ mix &+ e &+ constant &+ words[index]
                (e, d, c, b, a) = (d, c, rotate(b, 30), a, next)
            }
            for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
        }
        let digest = state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
        return Data(digest).base64EncodedString()
    }

    package static func request(_ url: String, _ fields: String = "") -> String {
        "GET \(url) HTTP/1.1\r\nHost: ignored\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: \(key)\r\n\(fields)\r\n"
    }

    /// Asks for WebSocket through the proxy of a rig.
    ///
    /// - Returns: the head of the answer, and the connection.
    package static func open(
        _ rig: Rig,
        _ url: String,
        _ fields: String = "",
        early: [UInt8] = []
    ) throws -> (head: String, peer: WebSocketPeer) {
        try open(through: rig.proxyPort, url, fields, early: early)
    }

    /// - Parameter port: of the proxy.
    package static func open(
        through port: Int,
        _ url: String,
        _ fields: String = "",
        early: [UInt8] = []
    ) throws -> (head: String, peer: WebSocketPeer) {
        let socket = try Socket(connectingTo: port)
        socket.send(Array(request(url, fields).utf8) + early)
        var bytes = socket.receive { SimpleHTTP.headEnd($0[...]) != nil }
        let end = SimpleHTTP.headEnd(bytes[...]) ?? bytes.count
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        bytes.removeFirst(end)
        return (head, WebSocketPeer(socket, isClient: true, read: bytes))
    }

    /// A server that switches whoever asks, and hands the connection to a closure.
    ///
    /// - Parameter first: sent right behind the head, in the same write.
    package static func server(
        _ fields: String = "",
        first: [UInt8] = [],
        _ serve: @escaping @Sendable (_ head: String, _ peer: inout WebSocketPeer) -> Void
    ) -> TestServer {
        TestServer { socket, _ in
            let bytes = socket.receive { SimpleHTTP.headEnd($0[...]) != nil }
            guard let end = SimpleHTTP.headEnd(bytes[...]) else { return socket.close() }
            let head = String(decoding: bytes[..<end], as: UTF8.self)
            let key = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key: ") }
            let accept = accept(String(key?.dropFirst(19) ?? ""))
            socket.send(
                Array(
                    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        + "Sec-WebSocket-Accept: \(accept)\r\n\(fields)\r\n").utf8
                ) + first
            )
            var peer = WebSocketPeer(socket, isClient: false, read: Array(bytes[end...]))
            serve(head, &peer)
            socket.close()
        }
    }

    /// Sends back each frame, and answers a Close frame with one before it ends.
    package static func echo() -> TestServer {
        server { _, peer in
            while let frame = peer.next() {
                peer.send(frame.opcode, frame.payload)
                if frame.opcode == 8 { return }
            }
        }
    }

    package static func frame(_ opcode: UInt8, _ payload: [UInt8], isMasked: Bool) -> [UInt8] {
        var head = [0x80 | opcode]
        let mark: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case ..<126: head.append(mark | UInt8(payload.count))
        case ..<65536: head += [mark | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: head += [mark | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        guard isMasked else { return head + payload }
        let mask: [UInt8] = [1, 2, 3, 4]
        return head + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    @discardableResult
    package func send(_ opcode: UInt8, _ payload: [UInt8]) -> Bool {
        socket.send(Self.frame(opcode, payload, isMasked: isClient))
    }

    package struct Frame: Equatable {
        package var opcode: UInt8
        package var payload: [UInt8]

        package init(_ opcode: UInt8, _ payload: [UInt8]) { (self.opcode, self.payload) = (opcode, payload) }
    }

    /// - Returns: nil at the end of the connection, orderly or not.
    package mutating func next() -> Frame? {
        while true {
            if let frame = take() { return frame }
            guard let piece = socket.receive(), !piece.isEmpty else { return nil }
            bytes += piece
        }
    }

    private mutating func take() -> Frame? {
        guard bytes.count >= 2 else { return nil }
        let isMasked = bytes[1] & 0x80 != 0
        var length = Int(bytes[1] & 0x7F)
        var start = 2
        if length >= 126 {
            let count = length == 126 ? 2 : 8
            guard bytes.count >= 2 + count else { return nil }
            length = bytes[2..<(2 + count)].reduce(0) { $0 << 8 | Int($1) }
            start += count
        }
        let mask = isMasked ? Array(bytes.dropFirst(start).prefix(4)) : [0, 0, 0, 0]
        if isMasked { start += 4 }
        guard bytes.count >= start + length else { return nil }
        let payload = bytes[start..<(start + length)].enumerated().map { $1 ^ mask[$0 & 3] }
        let frame = Frame(bytes[0] & 0x0F, payload)
        bytes.removeFirst(start + length)
        return frame
    }
}
