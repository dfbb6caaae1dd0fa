import ConnectorTestSupport
import Foundation
import Testing

/// `connectord forward`: a local port for clients that know nothing of SOCKS5.
@Suite(.serialized) struct ForwardCommandTests {
    private static func system(_ name: String, _ port: Int) -> String {
        "  - {virtual-host: \"\(name)\", internal-host: \"127.0.0.1:\(port)\", protocol: TCP}\n"
    }

    /// A process that leads to a system, and its port.
    private static func forward(_ system: String, _ rig: Rig) throws -> (LoggedProcess, Int) {
        // What is chosen is printed to standard output, which nobody reads here.
        let port = try freePort()
        let process = try LoggedProcess(["forward", "\(port)", system, "--config", "cloud.conf"], folder: rig.folder)
        let isThere = Rig.eventually {
            guard let socket = try? Socket(connectingTo: port) else { return false }
            socket.close()
            return true
        }
        #expect(isThere)
        return (process, port)
    }

    private static func freePort() throws -> Int {
        let server = TestServer { socket, _ in socket.close() }
        defer { server.stop() }
        return server.port
    }

    @Test("Bytes go both ways without loss, each end in its direction, and no faster than they are taken")
    func bothWays() throws {
        let counter = TestServer { socket, _ in
            var count = 0
            var sum = 0
            while let piece = socket.receive(), !piece.isEmpty {
                count += piece.count
                sum = piece.reduce(sum) { ($0 &* 31 &+ Int($1)) & 0xffffff }
            }
            socket.send(Array("got \(count) \(sum)".utf8))
            socket.close()
        }
        defer { counter.stop() }
        let rig = try Rig(cloud: TCPTests.cloud)
        defer { rig.stop() }
        try rig.startConnector(systems: Self.system("db.test:5432", counter.port))
        let (forwarder, port) = try Self.forward("db.test:5432", rig)
        defer { forwarder.stop() }
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        let sum = bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffffff }
        let socket = try Socket(connectingTo: port)
        socket.send(bytes)
        socket.finishSending()
        let answer = "got 3000000 \(sum)"
        #expect(socket.receive(through: answer).hasSuffix(answer))
        #expect(socket.receiveToEnd().bytes.isEmpty)
    }

    @Test("A new token is asked for when the keys have been exchanged and the old one does not count any more")
    func newToken() throws {
        let echo = TestServer { socket, _ in
            while let piece = socket.receive(), !piece.isEmpty { socket.send(piece) }
            socket.close()
        }
        defer { echo.stop() }
        // The same ports before and after.
        let (api, socks) = (try Self.freePort(), try Self.freePort())
        let rig = try Rig(
            cloud: """
                proxy: {listen: "127.0.0.1:PORT", authorization: token}
                api: {listen: "127.0.0.1:\(api)", directory: api}
                socks: {listen: "127.0.0.1:\(socks)"}
                """
        )
        defer { rig.stop() }
        try rig.startConnector(systems: Self.system("db.test:5432", echo.port))
        let (forwarder, port) = try Self.forward("db.test:5432", rig)
        defer { forwarder.stop() }
        func isEchoed() throws -> Bool {
            let socket = try Socket(connectingTo: port)
            defer { socket.close() }
            socket.send("ping")
            return socket.receive(through: "ping") == "ping"
        }
        #expect(try isEchoed())
        // The clients stay, every token of before is worthless.
        try FileManager.default.removeItem(at: rig.folder.appending(path: "api/token-keys.json"))
        try rig.restartCloud()
        try rig.cloud.wait(for: "tunnel connected")
        #expect(try isEchoed())
        #expect(rig.cloud.log.contains { $0.contains("the token does not count") })
    }

    @Test("What cannot be reached is said in the log of the forwarder, and the connection ends")
    func refusals() throws {
        let rig = try Rig(cloud: TCPTests.cloud)
        defer { rig.stop() }
        let closed = TestServer { socket, _ in socket.close() }
        closed.stop()
        try rig.startConnector(systems: Self.system("down.test:1", closed.port))
        for (system, cause) in [
            ("typo.test:1", "the virtual host is not exposed, or not as TCP"),
            ("down.test:1", "the Cloud Connector does not reach the internal host"),
        ] {
            let (forwarder, port) = try Self.forward(system, rig)
            defer { forwarder.stop() }
            let socket = try Socket(connectingTo: port)
            #expect(socket.receiveToEnd().bytes.isEmpty)
            try forwarder.wait(for: "cause=\"\(cause)")
        }
    }

    @Test(
        "It listens on loopback only, and says what is wrong with its arguments",
        arguments: [
            (["0.0.0.0:5432", "a:1"], "127.0.0.1 or [::1] only"), (["x", "a:1"], "not a port"),
            (["5432", "database"], "with its port"), (["5432", "a:1", "--config", "none.conf"], "none.conf"),
        ]
    )
    func arguments(_ arguments: [String], _ text: String) throws {
        let result = try Rig.run(["forward"] + arguments, FileManager.default.temporaryDirectory)
        #expect(result.status != 0 && result.output.contains(text), "\(result.output)")
    }
}
