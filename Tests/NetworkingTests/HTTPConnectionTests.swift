import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Networking

/// One connection of the listeners beside the tunnel, with bytes in and bytes out and a clock of its own.
struct HTTPConnectionTests {
    private struct Router: HTTPRouter {
        func answer(_ request: HTTPRequest) async -> HTTPResponse {
            .text(.ok, "\(request.method) \(request.path) \(request.body.count)")
        }
    }

    private final class Connection {
        let channel = NIOAsyncTestingChannel()
        private var received = ""

        init(_ limits: HTTPServerLimits = HTTPServerLimits()) async throws {
            let bodies = BodyBudget(limits)
            let channel = channel
            try await channel.testingEventLoop.executeInContext {
                try HTTPConnection.configure(channel, Router(), bodies)
            }
            try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1))
        }

        func send(_ text: String) async throws { try await channel.writeInbound(ByteBuffer(string: text)) }

        /// What is sent, up to and with a text.
        func receive(through text: String) async throws -> String {
            while !received.contains(text) {
                received += String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
            }
            defer { received = "" }
            return received
        }

        func pass(_ time: TimeAmount) async { await channel.testingEventLoop.advanceTime(by: time) }

        var isClosed: Bool { !channel.isActive }

        func stop() async { _ = try? await channel.finish(acceptAlreadyClosed: true) }
    }

    @Test("Requests are answered one after the other, on one connection")
    func keptAlive() async throws {
        let connection = try await Connection()
        for number in 0..<3 {
            try await connection.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
            let answer = try await connection.receive(through: "GET /\(number) 0")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("connection: keep-alive\r\n"))
        }
        #expect(!connection.isClosed)
        await connection.stop()
    }

    @Test("A body is counted, wherever it is cut, and HEAD gets none back")
    func bodies() async throws {
        let connection = try await Connection()
        try await connection.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Le")
        try await connection.send("ngth: 5\r\n\r\nab")
        try await connection.send("cde")
        _ = try await connection.receive(through: "POST /x 5")
        try await connection.send("HEAD /y HTTP/1.1\r\nHost: h\r\n\r\n")
        let head = try await connection.receive(through: "\r\n\r\n")
        #expect(head.contains("content-length: 9\r\n") && head.hasSuffix("\r\n\r\n"))
        await connection.stop()
    }

    @Test("Who says nothing is let go, without a word")
    func silent() async throws {
        let connection = try await Connection()
        await connection.pass(.seconds(9))
        #expect(!connection.isClosed)
        await connection.pass(.seconds(2))
        #expect(connection.isClosed)
        await connection.stop()
    }

    @Test(
        "A head that does not come to its end in time is answered 408; bytes that trickle in do not help, on a used connection neither"
    )
    func slowHead() async throws {
        for isUsed in [false, true] {
            let connection = try await Connection()
            if isUsed {
                try await connection.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
                _ = try await connection.receive(through: "GET /first 0")
            }
            try await connection.send("GET /slow HTTP/1.1\r\nX: ")
            for _ in 0..<5 {
                try await connection.send("x")
                await connection.pass(.milliseconds(1900))
            }
            await connection.pass(.seconds(1))
            let answer = try await connection.receive(through: "did not arrive in time")
            #expect(answer.hasPrefix("HTTP/1.1 408 Request Timeout\r\n") && answer.contains("connection: close\r\n"))
            #expect(answer.contains("date: "))
            await connection.pass(.seconds(3))
            #expect(connection.isClosed)
            await connection.stop()
        }
    }

    @Test("A body that does not come to its end in time is answered 408")
    func slowBody() async throws {
        let connection = try await Connection()
        try await connection.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n")
        for _ in 0..<16 {
            try await connection.send("b")
            await connection.pass(.seconds(2))
        }
        #expect(try await connection.receive(through: "the body of the request").hasPrefix("HTTP/1.1 408"))
        await connection.pass(.seconds(3))
        #expect(connection.isClosed)
        await connection.stop()
    }

    @Test("A body beyond the limit is refused at once, and what comes after it is nobody's")
    func largeBody() async throws {
        var limits = HTTPServerLimits()
        limits.bodyBytes = 10
        let connection = try await Connection(limits)
        try await connection.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n01234567890")
        #expect(try await connection.receive(through: "at most 10 bytes").hasPrefix("HTTP/1.1 413"))
        try await connection.send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        await connection.pass(.seconds(3))
        #expect(connection.isClosed)
        await connection.stop()
    }

    @Test(
        "What is not HTTP/1.1, or has not one Host, is refused by name, and the connection ends",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "this one has 0"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400", "this one has 2"),
            ("GET / HTTP/1.1\r\nHost h\r\n\r\n", "HTTP/1.1 400", "is not HTTP/1.1"),
            ("\u{16}\u{3}\u{1}\u{2}\r\n", "HTTP/1.1 4", "\r\n\r\n"),
        ]
    )
    func malformed(_ request: String, _ status: String, _ text: String) async throws {
        let connection = try await Connection()
        try? await connection.send(request)
        #expect(try await connection.receive(through: text).hasPrefix(status))
        await connection.pass(.seconds(3))
        #expect(connection.isClosed)
        await connection.stop()
    }

    @Test("Between two requests a connection may wait for a minute, and no longer")
    func waiting() async throws {
        let connection = try await Connection()
        try await connection.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        _ = try await connection.receive(through: "GET /a 0")
        await connection.pass(.seconds(59))
        #expect(!connection.isClosed)
        await connection.pass(.seconds(2))
        #expect(connection.isClosed)
        await connection.stop()
    }
}
