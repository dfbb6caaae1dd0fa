import ConnectorTestSupport
import Glibc
import NIOCore
import Testing

@testable import EpollTransport
@testable import Networking

struct HostConnectionTests {
    private static func open(_ host: String, _ port: Int, timeout: TimeAmount = .seconds(5)) async throws -> Bool {
        let group = try EpollEventLoopGroup(1, name: "test")
        do {
            let channel = try await HostConnection.open(
                host: host,
                port: port,
                on: group.loops[0],
                settings: SocketSettings(),
                timeout: timeout
            ).get()
            let isActive = channel.isActive
            try await group.shutdownGracefully()
            return isActive
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    @Test("A host is reached by its address and by a name, whichever of the name's addresses answers")
    func reached() async throws {
        let server = TestServer { socket, _ in _ = socket.receive() }
        #expect(try await Self.open("127.0.0.1", server.port))
        // IPv6 first or not: nobody listens there.
        #expect(try await Self.open("something.localhost", server.port))
        server.stop()
    }

    @Test("Where all addresses refuse, the last one's error is told, before any limit")
    func refused() async throws {
        let server = TestServer { _, _ in }
        let port = server.port
        server.stop()
        let error = await #expect(throws: IOError.self) { _ = try await Self.open("something.localhost", port) }
        #expect(ConnectionError(error!).cause == "connection refused")
    }

    @Test("A name that nobody knows is told from a host that does not answer")
    func unknown() async throws {
        let error = await #expect(throws: ConnectionError.self) { _ = try await Self.open("no-such-name.invalid", 1) }
        #expect(
            error?.cause == "the name no-such-name.invalid cannot be resolved" && "\(error!.proxyStatus)" == "dns_error"
        )
        #expect(error?.publicCause == "the name cannot be resolved")
    }

    @Test("The limit is for all attempts together, and is told as it was given")
    func limit() async throws {
        // A listener whose queue is full takes no more connections.
        let full = try FullListener()
        let error = await #expect(throws: ChannelError.self) {
            _ = try await Self.open("something.localhost", full.port, timeout: .milliseconds(600))
        }
        guard case .connectTimeout(let limit)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(limit == .milliseconds(600))
    }
}

/// Listens on 127.0.0.1, and its queue of connections is full: the kernel drops who comes next.
private final class FullListener {
    let port: Int
    private var sockets: [CInt] = []

    init() throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        sockets.append(listener)
        try SocketAddress(ipAddress: "127.0.0.1", port: 0).withSockAddr { _ = bind(listener, $0, socklen_t($1)) }
        listen(listener, 0)
        let address = RawAddress { getsockname(listener, $0, $1) }?.address
        port = address?.port ?? 0
        for _ in 0..<4 {
            let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            sockets.append(client)
            address?.withSockAddr { _ = connect(client, $0, socklen_t($1)) }
        }
    }

    deinit { for socket in sockets { close(socket) } }
}
