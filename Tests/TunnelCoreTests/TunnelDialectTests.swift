import NIOCore
import Testing

@testable import TunnelCore

/// Names of dialects, and that of HAProxy, in which the dialler sends the preface.
struct TunnelDialectTests {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// Of a SETTINGS frame on stream 0, after its length.
    private static let settings: [UInt8] = [4, 0, 0, 0, 0, 0]

    @Test("Names of the protocol say which dialect it is, and what is unknown says nothing")
    func names() {
        #expect(TunnelDialect(applicationProtocol: "h2-reverse") == .standard)
        #expect(TunnelDialect(applicationProtocol: "rh2") == .standard)
        #expect(TunnelDialect(applicationProtocol: "h2") == .haproxy)
        #expect(TunnelDialect(applicationProtocol: "http/1.1") == nil)
        #expect(TunnelDialect(applicationProtocol: nil) == nil && TunnelDialect(applicationProtocol: "") == nil)
        #expect(TunnelDialect.applicationProtocols == ["h2-reverse", "rh2", "h2"])
    }

    @Test("The connector begins with the preface, and the service with its SETTINGS")
    func order() throws {
        let pair = SessionPair(dialect: .haproxy)
        defer { pair.close() }
        let fromConnector = try #require(try pair.server.produce(limit: 1 << 20))
        #expect(Array(fromConnector.readableBytesView.prefix(24)) == Self.preface)
        #expect(Array(fromConnector.readableBytesView.dropFirst(27).prefix(6)) == Self.settings)
        let fromService = try #require(try pair.client.produce(limit: 1 << 20))
        #expect(Array(fromService.readableBytesView.dropFirst(3).prefix(6)) == Self.settings)
        try pair.deliver(fromConnector, to: pair.client)
        try pair.deliver(fromService, to: pair.server)
        try pair.exchange()
        let (_, receiver) = try pair.request("/hello")
        try pair.exchange()
        #expect(pair.accepted.count == 1)
        let answer = FieldBlock()
        answer.append(status: 200)
        pair.accepted[0].stream.send(head: answer, isEnd: true)
        try pair.exchange()
        #expect(receiver.head.contains(":status=200"))
    }

    @Test("The preface may come octet by octet")
    func pieces() throws {
        let pair = SessionPair(dialect: .haproxy)
        defer { pair.close() }
        let bytes = try #require(try pair.server.produce(limit: 1 << 20))
        for byte in bytes.readableBytesView { try pair.deliver(ByteBuffer(bytes: [byte]), to: pair.client) }
        #expect(pair.client.peerAllowsExtendedConnect)
    }

    @Test("What begins with anything else is no HTTP/2, as soon as that is known", arguments: 0..<24)
    func wrong(_ place: Int) throws {
        let pair = SessionPair(dialect: .haproxy)
        defer { pair.close() }
        var bytes = Self.preface
        bytes[place] ^= 0x20
        if place > 0 { try pair.deliver(ByteBuffer(bytes: bytes[..<place]), to: pair.client) }
        #expect(throws: HTTP2Error.self) {
            try pair.deliver(ByteBuffer(bytes: bytes[place...place]), to: pair.client)
        }
    }
}
