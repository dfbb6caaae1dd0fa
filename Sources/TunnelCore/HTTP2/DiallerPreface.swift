internal import CNghttp2
internal import NIOCore

/// The client connection preface (RFC 9113 section 3.4) where the dialler sends it, who is the server of the tunnel's requests:
/// each end's library has it the other way round.
struct DiallerPreface {
    private static let bytes: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    private let role: HTTP2Session.Role
    /// Bytes that the dialler still has to send; the acceptor's side only.
    private var missing: Int
    private var isDue = true

    init(_ role: HTTP2Session.Role) {
        self.role = role
        missing = role == .client ? Self.bytes.utf8CodeUnitCount : 0
    }

    /// Takes the preface off what was received.
    ///
    /// - Throws: `protocolViolation` where it is something else.
    mutating func strip(_ received: UnsafeRawBufferPointer) throws(HTTP2Error) -> UnsafeRawBufferPointer {
        guard missing > 0 else { return unsafe received }
        let count = min(missing, received.count)
        let start = unsafe Self.bytes.utf8Start + (Self.bytes.utf8CodeUnitCount - missing)
        for index in 0..<count where unsafe received[index] != start[index] {
            throw HTTP2Error(.protocolViolation, "the dialler does not begin with the preface of HTTP/2")
        }
        missing -= count
        return unsafe UnsafeRawBufferPointer(rebasing: received[count...])
    }

    /// Before the first frames go out.
    mutating func begin(_ session: OpaquePointer?, _ output: inout ByteBuffer) {
        guard isDue else { return }
        isDue = false
        switch role {
        case .server: output.writeStaticString(Self.bytes)
        case .client:
            // nghttp2 gives its own away in one piece, before all else.
            var data: UnsafePointer<UInt8>?
            _ = unsafe nghttp2_session_mem_send(session, &data)
        }
    }
}
