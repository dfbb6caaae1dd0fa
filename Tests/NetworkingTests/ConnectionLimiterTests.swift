import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import Networking

/// A listener without a socket: connections are embedded channels with an address.
struct ConnectionLimiterTests {
    private final class Events: Sendable {
        let all = Mutex<[ListenerEvent]>([])
    }

    private struct Listener {
        let channel = EmbeddedChannel()
        let load = ListenerLoad()
        let events = Events()

        init(limit: Int, mayAccept: @escaping @Sendable () -> Bool = { true }) throws {
            let events = events
            let limiter = ConnectionLimiter(limit: limit, load: load, mayAccept: mayAccept) { event in
                events.all.withLock { $0.append(event) }
            }
            try channel.pipeline.syncOperations.addHandler(limiter)
        }

        /// - Returns: the connection, and whether it was let through.
        func accept(_ address: String) throws -> (EmbeddedChannel, isAccepted: Bool) {
            let connection = EmbeddedChannel()
            connection.remoteAddress = try SocketAddress(ipAddress: address, port: 1)
            try connection.connect(to: connection.remoteAddress!).wait()
            try channel.writeInbound(connection as any Channel)
            return (connection, try channel.readInbound(as: (any Channel).self) != nil)
        }
    }

    @Test("One address gets three quarters of the places, and the others theirs")
    func shares() throws {
        let listener = try Listener(limit: 16)
        let crowd = try (0..<13).map { _ in try listener.accept("10.0.0.1").isAccepted }
        #expect(crowd == [Bool](repeating: true, count: 12) + [false])
        #expect(try listener.accept("10.0.0.2").isAccepted)
        #expect(listener.load.refusedConnections == 1 && listener.load.connections == 13)
        let events = listener.events.all.withLock { $0 }
        guard case .addressAtShare(let address, let count, let limit)? = events.first else {
            Issue.record("nothing was told")
            return
        }
        #expect(address == "10.0.0.1" && count == 12 && limit == 16)
    }

    @Test("An address that is refused again and again is told of once in a while")
    func told() throws {
        let listener = try Listener(limit: 16)
        for _ in 0..<50 { _ = try listener.accept("10.0.0.1") }
        #expect(listener.events.all.withLock { $0.count } == 1 && listener.load.refusedConnections == 38)
    }

    @Test("A place that is given back is free for the same address")
    func returned() throws {
        let listener = try Listener(limit: 16)
        let first = try listener.accept("10.0.0.1").0
        for _ in 0..<11 { _ = try listener.accept("10.0.0.1") }
        #expect(try !listener.accept("10.0.0.1").isAccepted)
        try first.close().wait()
        (first.eventLoop as? EmbeddedEventLoop)?.run()
        (listener.channel.eventLoop as? EmbeddedEventLoop)?.run()
        #expect(try listener.accept("10.0.0.1").isAccepted)
    }

    @Test("A network of IPv6 counts as one client")
    func network() throws {
        let listener = try Listener(limit: 16)
        for index in 0..<12 { #expect(try listener.accept("2001:db8:1:2::\(index + 1)").isAccepted) }
        #expect(try !listener.accept("2001:db8:1:2:ffff::1").isAccepted)
        #expect(try listener.accept("2001:db8:1:3::1").isAccepted)
    }

    @Test("With few places nobody shares")
    func few() throws {
        let listener = try Listener(limit: 4)
        for _ in 0..<4 { #expect(try listener.accept("10.0.0.1").isAccepted) }
    }

    @Test("Three quarters of the places make a crowd, and half of them end it")
    func crowd() throws {
        let listener = try Listener(limit: 16)
        for index in 0..<11 { _ = try listener.accept("10.0.0.\(index + 1)") }
        #expect(!listener.load.isCrowded)
        let last = try listener.accept("10.0.1.1").0
        #expect(listener.load.isCrowded)
        try last.close().wait()
        (last.eventLoop as? EmbeddedEventLoop)?.run()
        (listener.channel.eventLoop as? EmbeddedEventLoop)?.run()
        #expect(listener.load.isCrowded, "not until half of the places are free")
    }

    @Test("Short of memory, nobody is let in")
    func short() throws {
        let listener = try Listener(limit: 16, mayAccept: { false })
        #expect(try !listener.accept("10.0.0.1").isAccepted)
        #expect(listener.load.refusedConnections == 1 && listener.load.connections == 0)
    }
}
