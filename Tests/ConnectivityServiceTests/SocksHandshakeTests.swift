import Testing

@testable import ConnectivityService

struct SocksHandshakeTests {
    @Test("What a program sends while the connection is being opened is kept in order, whenever it comes")
    func earlyData() throws {
        var handshake = SocksHandshake()
        handshake.receive([5, 1, 0x80])
        #expect(handshake.next() == .send([5, 0x80]))
        handshake.receive([1, 0, 0, 0, 1, 0x61, 0])
        #expect(handshake.next() == .authenticate(token: [0x61], locationID: ""))
        _ = handshake.admit(true)
        handshake.receive([5, 1, 0, 3, 1, 0x68, 0, 80] + Array("one ".utf8))
        #expect(!handshake.isDone)
        #expect(handshake.next() == .connect(.init(host: [0x68], port: 80)))
        #expect(handshake.isDone)
        handshake.receive(Array("two".utf8))
        #expect(handshake.next() == nil)
        #expect(String(decoding: handshake.rest, as: UTF8.self) == "one two")
    }

    typealias Event = SocksHandshake.Event

    /// Greeting, token "tok", location ID "loc-1" and a request for virtual-tcp:3333, as SAP's Python client sends them.
    static let greeting: [UInt8] = [5, 1, 0x80]
    static let authentication: [UInt8] = [1, 0, 0, 0, 3] + Array("tok".utf8) + [8] + Array("bG9jLTE=".utf8)
    static let request: [UInt8] = [5, 1, 0, 3, 11] + Array("virtual-tcp".utf8) + [0x0d, 0x05]

    @Test("The handshake of SAP's clients is understood, in one piece and byte by byte", arguments: [1, 2, 7, 100])
    func whole(_ size: Int) {
        var handshake = SocksHandshake()
        var events: [Event] = []
        let bytes = Self.greeting + Self.authentication + Self.request + Array("early".utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            handshake.receive(bytes[start..<min(start + size, bytes.count)])
            while let event = handshake.next() {
                events.append(event)
                if case .authenticate = event { #expect(handshake.admit(true) == [1, 0]) }
            }
        }
        #expect(
            events == [
                .send([5, 0x80]), .authenticate(token: Array("tok".utf8), locationID: "loc-1"),
                .connect(.init(host: Array("virtual-tcp".utf8), port: 3333)),
            ]
        )
        if size == 100 { #expect(handshake.rest == Array("early".utf8)) }
    }

    @Test("No location ID is a length of 0, and an IPv4 address is a host")
    func variants() {
        var handshake = SocksHandshake()
        handshake.receive(Self.greeting + [1, 0, 0, 0, 1, 0x74, 0])
        _ = handshake.next()
        #expect(handshake.next() == .authenticate(token: [0x74], locationID: ""))
        _ = handshake.admit(true)
        handshake.receive([5, 1, 0, 1, 10, 0, 0, 1, 0, 80])
        #expect(handshake.next() == .connect(.init(host: Array("10.0.0.1".utf8), port: 80)))
    }

    @Test(
        "What is not spoken here gets its own answer",
        arguments: [
            ([5, 2, 0, 2], [5, 0xff]), ([5, 0], [5, 0xff]), ([4, 1], []), ([0x47, 0x45], []),
            (greeting + [2, 0, 0, 0, 0], [1, 5]), (greeting + [1, 0, 0, 0x40, 1], [1, 5]),
            (greeting + [1, 0xff, 0xff, 0xff, 0xff], [1, 5]),
            (greeting + [1, 0, 0, 0, 0, 1, 0x3f], [1, 5]),
        ] as [([UInt8], [UInt8])]
    )
    func refused(_ bytes: [UInt8], _ answer: [UInt8]) {
        var handshake = SocksHandshake()
        handshake.receive(bytes)
        var last: Event?
        while let event = handshake.next() { last = event }
        guard case .refuse(let sent, _)? = last else {
            Issue.record("not refused: \(String(describing: last))")
            return
        }
        #expect(sent == answer)
    }

    @Test(
        "Requests other than CONNECT to a name or an IPv4 address get the right reply",
        arguments: [
            ([5, 2, 0, 1, 1, 2, 3, 4, 0, 80], 7), ([5, 3, 0, 1, 1, 2, 3, 4, 0, 80], 7), ([5, 1, 0, 4, 0], 8),
            ([4, 1, 0, 1, 0], 1),
            ([5, 1, 0, 3, 0, 0, 80], 2), ([5, 1, 0, 3, 3, 0x61, 0x40, 0x62, 0, 80], 2),
            ([5, 1, 0, 3, 3, 0x61, 0x0d, 0x0a, 0, 80], 2),
        ] as [([UInt8], UInt8)]
    )
    func requests(_ bytes: [UInt8], _ reply: UInt8) {
        var handshake = SocksHandshake()
        handshake.receive(Self.greeting + Self.authentication)
        while handshake.next() != nil {}
        _ = handshake.admit(true)
        handshake.receive(bytes)
        guard case .refuse(let sent, _)? = handshake.next() else {
            Issue.record("not refused")
            return
        }
        #expect(sent == [5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
    }
}
