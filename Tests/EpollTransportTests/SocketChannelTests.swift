import ConnectorTestSupport
import EpollTransport
import NIOCore
import Synchronization
import Testing

/// Connections over real sockets: a listener of the transport, and clients that are plain sockets.
@Suite(.timeLimit(.minutes(2)))
struct SocketChannelTests {
    /// Says what has happened, in order.
    private final class Events: Sendable {
        private struct State {
            var events: [String] = []
            var waiters: [(event: String, continuation: CheckedContinuation<Void, Never>)] = []
        }

        private let state = Mutex(State())
        var all: [String] { state.withLock { $0.events } }

        func add(_ event: String) {
            let waiters = state.withLock { state in
                state.events.append(event)
                defer { state.waiters.removeAll { $0.event == event } }
                return state.waiters.filter { $0.event == event }
            }
            for waiter in waiters { waiter.continuation.resume() }
        }

        func wait(for event: String) async {
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if state.events.contains(event) { return true }
                    state.waiters.append((event, continuation))
                    return false
                }
                if isThere { continuation.resume() }
            }
        }
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let events: Events
        let onRead: (ChannelHandlerContext, ByteBuffer) -> Void

        init(_ events: Events, onRead: @escaping (ChannelHandlerContext, ByteBuffer) -> Void = { _, _ in }) {
            self.events = events
            self.onRead = onRead
        }

        func channelActive(context: ChannelHandlerContext) { events.add("active") }
        func channelInactive(context: ChannelHandlerContext) { events.add("inactive") }
        func handlerRemoved(context: ChannelHandlerContext) { events.add("removed") }
        func channelWritabilityChanged(context: ChannelHandlerContext) {
            events.add(context.channel.isWritable ? "writable" : "full")
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            events.add("error \((error as? IOError)?.errnoCode ?? 0)")
        }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { events.add("input closed") }
        }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            events.add(String(buffer: buffer))
            onRead(context, buffer)
        }
    }

    private static func serve(
        _ settings: SocketSettings = SocketSettings(),
        loops: Int = 1,
        onRead: @escaping @Sendable (ChannelHandlerContext, ByteBuffer) -> Void = { _, _ in },
        _ body: (_ port: Int, Events, EpollEventLoopGroup) async throws -> Void
    ) async throws {
        let group = try EpollEventLoopGroup(loops, name: "test")
        let events = Events()
        let listener = try await ListenerChannel.bind(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
            group: group,
            settings: settings,
            guards: { [] },
            initializer: { try $0.pipeline.syncOperations.addHandler(Recorder(events, onRead: onRead)) }
        )
        try await body(listener.localAddress!.port!, events, group)
        try await group.shutdownGracefully()
    }

    @Test("What is sent is read, what is written arrives, and handlers go when the connection does")
    func echo() async throws {
        try await Self.serve(onRead: { context, buffer in context.writeAndFlush(NIOAny(buffer), promise: nil) }) {
            port,
            events,
            _ in
            let socket = try Socket(connectingTo: port)
            socket.send("hello")
            #expect(socket.receive(through: "hello") == "hello")
            socket.close()
            await events.wait(for: "removed")
            #expect(events.all == ["active", "hello", "inactive", "removed"])
        }
    }

    @Test("The end of what a client sends closes its connection, or is told where it may still read")
    func halfClosed() async throws {
        try await Self.serve { port, events, _ in
            let socket = try Socket(connectingTo: port)
            socket.finishSending()
            #expect(socket.receiveToEnd().bytes.isEmpty)
            await events.wait(for: "removed")
            #expect(events.all == ["active", "inactive", "removed"])
        }
        let settings = SocketSettings(allowsHalfClosure: true)
        try await Self.serve(
            settings,
            onRead: { context, buffer in
                guard buffer.readableBytes > 3 else { return }
                context.writeAndFlush(NIOAny(ByteBuffer(string: "bye")), promise: nil)
                context.close(mode: .output, promise: nil)
            }
        ) { port, events, _ in
            let socket = try Socket(connectingTo: port)
            socket.send("question")
            socket.finishSending()
            #expect(socket.receiveToEnd().bytes == Array("bye".utf8))
            await events.wait(for: "removed")
        }
    }

    @Test("A client that resets is an error, then the end, also while nobody reads")
    func reset() async throws {
        try await Self.serve { port, events, _ in
            let socket = try Socket(connectingTo: port)
            socket.send("x")
            await events.wait(for: "x")
            socket.reset()
            await events.wait(for: "inactive")
            #expect(events.all.contains("error 104"))
        }
        try await Self.serve(SocketSettings(autoRead: false)) { port, events, _ in
            let socket = try Socket(connectingTo: port)
            socket.send("x")
            await events.wait(for: "active")
            socket.reset()
            await events.wait(for: "inactive")
            #expect(!events.all.contains("x"))
        }
    }

    @Test("A client that does not read makes the channel full, and writable again when it does; nothing is lost")
    func backPressure() async throws {
        let size = 8 << 20
        try await Self.serve(
            SocketSettings(lowWatermark: 1000, highWatermark: 4000),
            onRead: { context, _ in
                context.writeAndFlush(NIOAny(ByteBuffer(repeating: 7, count: size)), promise: nil)
            }
        ) { port, events, _ in
            let socket = try Socket(connectingTo: port)
            socket.send("go")
            await events.wait(for: "full")
            #expect(!events.all.contains("writable"))
            var count = 0
            while count < size, let bytes = socket.receive() { count += bytes.count }
            #expect(count == size)
            await events.wait(for: "writable")
        }
    }

    @Test("More than one read's worth is read whole, while other connections get their turn")
    func large() async throws {
        let settings = SocketSettings(readSize: 1000)
        try await Self.serve(
            settings,
            onRead: { context, buffer in context.writeAndFlush(NIOAny(buffer), promise: nil) }
        ) {
            port,
            events,
            _ in
            let (first, second) = (try Socket(connectingTo: port), try Socket(connectingTo: port))
            let text = String(repeating: "0123456789", count: 10_000)
            first.send(text)
            second.send("short")
            #expect(second.receive(through: "short") == "short")
            var received: [UInt8] = []
            while received.count < text.utf8.count, let bytes = first.receive() { received += bytes }
            #expect(received == Array(text.utf8))
            #expect(events.all.allSatisfy { $0.utf8.count <= 1000 })
        }
    }

    @Test("Connections are shared out evenly to the loops, counted over four of them")
    func spread() async throws {
        let counts = Mutex<[ObjectIdentifier: Int]>([:])
        try await Self.serve(
            loops: 4,
            onRead: { context, buffer in
                counts.withLock { $0[ObjectIdentifier(context.eventLoop), default: 0] += 1 }
                context.writeAndFlush(NIOAny(buffer), promise: nil)
            }
        ) { port, _, _ in
            let sockets = try (0..<40).map { _ in try Socket(connectingTo: port) }
            for socket in sockets {
                socket.send("x")
                #expect(socket.receive(through: "x") == "x")
            }
            #expect(counts.withLock { $0.values.sorted() } == [10, 10, 10, 10])
        }
    }

    @Test("An attempt that is refused fails with the system's error, and one without an answer at its limit")
    func connect() async throws {
        let group = try EpollEventLoopGroup(1, name: "test")
        let server = TestServer { socket, _ in _ = socket.receive() }
        let channel = try await group.loops[0].connect(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: server.port),
            settings: SocketSettings(),
            timeout: .seconds(5)
        ).get()
        #expect(channel.isActive)
        server.stop()
        let refused = await #expect(throws: IOError.self) {
            _ = try await group.loops[0].connect(
                to: try SocketAddress(ipAddress: "127.0.0.1", port: server.port),
                settings: SocketSettings(),
                timeout: .seconds(5)
            ).get()
        }
        #expect(refused?.errnoCode == 111)
        try await group.shutdownGracefully()
        #expect(!channel.isActive)
    }
}
