import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// TCP systems over SOCKS5, as clients of SAP's service speak it.
@Suite(.serialized) struct TCPTests {
    static let cloud = """
        proxy: {listen: "127.0.0.1:PORT", authorization: token}
        api: {listen: "127.0.0.1:0", directory: api}
        socks: {listen: "127.0.0.1:0"}
        """

    private static func system(_ name: String, _ host: String, _ kind: String = "TCP") -> String {
        "  - {virtual-host: \"\(name)\", internal-host: \"\(host)\", protocol: \(kind)}\n"
    }

    /// Sends back what it gets, and ends when its peer ends.
    private static func echo() -> TestServer {
        TestServer { socket, _ in
            while let piece = socket.receive(), !piece.isEmpty { socket.send(piece) }
            socket.close()
        }
    }

    @Test("Bytes go both ways, a half-close arrives as such, and a reset as a reset")
    func bothWays() throws {
        let echo = Self.echo()
        defer { echo.stop() }
        let counter = TestServer { socket, _ in
            var count = 0
            while let piece = socket.receive(), !piece.isEmpty { count += piece.count }
            // Only after its peer's end: the other direction is open still.
            socket.send(Array("got \(count)".utf8))
            socket.close()
        }
        defer { counter.stop() }
        let breaker = TestServer { socket, _ in
            _ = socket.receive()
            socket.reset()
        }
        defer { breaker.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        try rig.startConnector(
            systems: Self.system("echo.test:3333", "127.0.0.1:\(echo.port)")
                + Self.system("count.test:80", "127.0.0.1:\(counter.port)")
                + Self.system("break.test:80", "127.0.0.1:\(breaker.port)")
        )
        let client = try SocksClient(rig.cloud, rig.folder)
        let (one, opened) = try client.open("ECHO.test", 3333)
        #expect(opened == 0)
        one.send("hello")
        #expect(client.exactly(5, one) == Array("hello".utf8))
        one.close()
        let (two, second) = try client.open("count.test", 80)
        #expect(second == 0)
        two.send([UInt8](repeating: 7, count: 100_000))
        two.finishSending()
        #expect(two.receive(through: "got 100000").hasSuffix("got 100000"))
        let (three, third) = try client.open("break.test", 80)
        #expect(third == 0)
        three.send("x")
        #expect(three.receiveToEnd().isReset)
    }

    @Test("Each reason for no connection has its own reply")
    func replies() throws {
        let echo = Self.echo()
        defer { echo.stop() }
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        let connector = try rig.startConnector(
            systems: Self.system("echo.test:80", "127.0.0.1:\(echo.port)")
                + Self.system("down.test:80", "127.0.0.1:\(closed.port)")
                + Self.system("name.test:80", "no-such-name.invalid:80") + Rig.system("http.test:80", port: echo.port),
            extra: "audit: {directory: audit}"
        )
        let client = try SocksClient(rig.cloud, rig.folder)
        #expect(try client.open("nothing.test", 80).1 == 2)
        // A system with paths is not open to those who would not be asked for one.
        #expect(try client.open("http.test", 80).1 == 2)
        #expect(try client.open("down.test", 80).1 == 4)
        #expect(try client.open("name.test", 80).1 == 4)
        #expect(try client.open("echo.test", 80, location: "elsewhere").1 == 3)
        #expect(try client.open("echo.test", 80, token: Array("wrong".utf8)).1 == 5)
        #expect(try client.open("echo.test", 80).1 == 0)
        // curl offers other methods only.
        let curl = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "--socks5-hostname", "127.0.0.1:\(client.port)", "http://echo.test/"],
            rig.folder
        )
        #expect(curl.status == 97)
        // And an HTTP request reaches no TCP system, and is told so.
        let answer = try rig.curl(
            "http://echo.test/",
            "--proxy-header",
            "Proxy-Authorization: Bearer \(String(decoding: client.token, as: UTF8.self))"
        )
        #expect(answer.contains("Access denied to system echo.test:80"))
        #expect(answer.contains("it is exposed as TCP only"), "\(answer)")
        connector.stop()
        let audit = try rig.auditText()
        #expect(audit.contains("Allowing a connection to system echo.test:80"))
        #expect(audit.contains("Denying a connection to system nothing.test:80"))
    }

    @Test("A range of ports leads to the internal port of the same place")
    func ranges() throws {
        let echo = Self.echo()
        defer { echo.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        // The server is the one in the middle; beside it is nobody, or somebody else.
        let range = "\(echo.port - 1)-\(echo.port + 1)"
        try rig.startConnector(systems: Self.system("range.test:5000-5002", "127.0.0.1:\(range)"))
        let client = try SocksClient(rig.cloud, rig.folder)
        let (socket, reply) = try client.open("range.test", 5001)
        #expect(reply == 0)
        socket.send("x")
        #expect(client.exactly(1, socket) == Array("x".utf8))
        #expect(try client.open("range.test", 4999).1 == 2)
        #expect(try client.open("range.test", 5003).1 == 2)
    }

    @Test("Idle connections stay through a reload; one whose system is exposed no more is cut")
    func reload() throws {
        let echo = Self.echo()
        defer { echo.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        let kept = Self.system("kept.test:80", "127.0.0.1:\(echo.port)")
        // A stream of a tunnel each, of which a tunnel has 256, and a quarter of them for requests.
        try rig.startConnector(systems: kept + Self.system("gone.test:80", "127.0.0.1:\(echo.port)"), connections: 6)
        let client = try SocksClient(rig.cloud, rig.folder)
        let count = Sanitizer.isOn ? 20 : 1000
        let sockets = try (0..<count).map { _ in try client.open("kept.test", 80) }
        #expect(sockets.allSatisfy { $0.1 == 0 })
        let (gone, _) = try client.open("gone.test", 80)
        let file = rig.folder.appending(path: "connector0.conf")
        let text = try String(contentsOf: file, encoding: .utf8).replacing(
            Self.system("gone.test:80", "127.0.0.1:\(echo.port)"),
            with: ""
        )
        try text.write(to: file, atomically: true, encoding: .utf8)
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(gone.receiveToEnd().isReset)
        for (socket, _) in sockets {
            socket.send("x")
            #expect(client.exactly(1, socket) == Array("x".utf8))
        }
    }

    @Test("What goes down and up at once arrives whole, and neither process grows with it")
    func large() throws {
        let size = FaultTests.mebibytes << 20
        let block = [UInt8]((0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        // Sends as much as it gets, at the same time.
        let server = TestServer { socket, _ in
            let received = Mutex(0)
            let done = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                while let piece = socket.receive(), !piece.isEmpty { received.withLock { $0 += piece.count } }
                done.signal()
            }
            for _ in 0..<(size >> 20) { socket.send(block) }
            done.wait()
            socket.send(Array("got \(received.withLock { $0 })".utf8))
            socket.close()
        }
        defer { server.stop() }
        let rig = try Rig(cloud: Self.cloud)
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Self.system("big.test:80", "127.0.0.1:\(server.port)"))
        let client = try SocksClient(rig.cloud, rig.folder)
        let (socket, reply) = try client.open("big.test", 80)
        #expect(reply == 0)
        Thread.detachNewThread {
            for _ in 0..<(size >> 20) { socket.send(block) }
            socket.finishSending()
        }
        var position = 0
        var isWhole = true
        while position < size {
            guard let piece = socket.receive(min(65536, size - position)), !piece.isEmpty else { break }
            let start = position & (1 << 20 - 1)
            let first = min(piece.count, 1 << 20 - start)
            isWhole = isWhole && piece[..<first].elementsEqual(block[start..<(start + first)])
            isWhole = isWhole && piece[first...].elementsEqual(block[..<(piece.count - first)])
            position += piece.count
        }
        #expect(position == size && isWhole)
        #expect(socket.receive(through: "got \(size)") == "got \(size)")
        print(
            "TCP: \(size >> 20) MiB each way, cloud \(rig.cloud.peakMemory) MiB, connector \(connector.peakMemory) MiB"
        )
        if !Sanitizer.isOn { #expect(rig.cloud.peakMemory < 100 && connector.peakMemory < 100) }
    }
}
