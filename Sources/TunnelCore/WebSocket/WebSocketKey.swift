internal import Cryptography
internal import JSON

/// The key with which a client asks for WebSocket, and the answer that shows it was understood (RFC 6455 section 4).
package enum WebSocketKey {
    /// Characters of a key: 16 bytes in Base64.
    package static let length = 24

    /// A new one, of 16 random bytes.
    package static func make() -> String {
        Base64.encode((0..<16).map { _ in UInt8.random(in: 0 ... .max) })
    }

    /// Whether it is 16 bytes in Base64 (RFC 6455 section 4.2.1).
    package static func isValid(_ key: String) -> Bool {
        key.utf8.count == length && Base64.decode(key)?.count == 16
    }

    /// What `Sec-WebSocket-Accept` has to say to a key (RFC 6455 section 4.2.2).
    package static func accept(_ key: String) -> String {
        Base64.encode(SHA1.digest(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }
}
