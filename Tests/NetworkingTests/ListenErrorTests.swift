import NIOCore
import NIOPosix
import Networking
import Testing
import TextFormats

struct ListenErrorTests {
    private static func bind(_ host: String, _ port: Int) async throws -> any Channel {
        try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(to: HostPort(host: host, port: port), as: "proxy.listen")
    }

    @Test("An address that is taken is named with its setting and what to do")
    func taken() async throws {
        let first = try await Self.bind("127.0.0.1", 0)
        let port = first.localAddress?.port ?? 0
        let failure = await #expect(throws: ListenError.self) { try await Self.bind("127.0.0.1", port) }
        #expect(failure?.setting == "proxy.listen" && failure?.address == "127.0.0.1:\(port)")
        #expect(
            "\(failure!)".hasPrefix("proxy.listen 127.0.0.1:\(port): address already in use: stop what listens there")
        )
        try await first.close()
    }

    @Test(
        "An address that this machine does not have, and a name that is none, say so",
        arguments: [("192.0.2.1", "this machine has no such address"), ("no-such-name.invalid", "cannot be resolved")]
    )
    func foreign(_ host: String, _ text: String) async throws {
        let failure = await #expect(throws: ListenError.self) { try await Self.bind(host, 0) }
        #expect("\(failure!)".contains(text), "\(failure!)")
        #expect(!"\(failure!)".contains("errno") && !"\(failure!)".contains("NIO"))
    }
}
