import ConnectorTestSupport
import Foundation
import Testing

/// Three services on one PostgreSQL, and a connector that has tunnels to one of them only.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isThere)) struct PeerTests {
    private static func systems(_ port: Int, tcp: Int = 1) -> String {
        """
        {virtual-host: "backend.test:80", internal-host: "127.0.0.1:\(port)", protocol: HTTP, resources: [{path: /x, access: path-and-sub-paths}, {path: /socket, access: path-only, upgrade-allowed: true}]}, {virtual-host: "tcp.test:7000", internal-host: "127.0.0.1:\(tcp)", protocol: TCP}
        """
    }

    private func rig(_ names: [String] = ["one", "two", "three"], cloud extra: String = "") throws -> StoreRig {
        let rig = try StoreRig(names, arePeers: true, cloud: extra)
        try rig.migrate()
        try rig.startServices()
        for name in names {
            try rig.services[name]?.wait(for: "service connected", count: 2 * (names.count - 1))
        }
        return rig
    }

    @Test func `A request reaches the connector whichever service it comes to, body, answer and refusal alike`() throws
    {
        let backend = TestServer.http { head, body in TestServer.ok("\(head.split(separator: " ")[0]) \(body.count)") }
        defer { backend.stop() }
        let rig = try rig()
        defer { rig.stop() }
        try rig.writeConnector("c", to: "two", systems: Self.systems(backend.port))
        try rig.enrol("c", at: "two")
        try rig.startConnector("c", at: "two")
        #expect(try Rig.eventually { try rig.curl("one") == "GET 0" && rig.curl("three") == "GET 0" })
        try Data(repeating: 7, count: 3 << 20).write(to: rig.folder.appending(path: "large"))
        #expect(try rig.curl("one", "/x/y", ["--data-binary", "@large"]) == "POST \(3 << 20)")
        #expect(
            try rig.curl("one", "/closed").contains("resource"),
            "the connector's policy decides, and its words arrive"
        )
        // All of them show all of it.
        #expect(try Rig.eventually { try rig.status("one").contains("tunnels to     two 1") })
        let status = try rig.status("three")
        #expect(status.contains("beside         one at 127.0.0.1:"), "\(status)")
        #expect(status.contains("beside         two at 127.0.0.1:"), "\(status)")
        // The service that has the tunnels goes: those that are left say so at once.
        rig.stopService("two", SIGKILL)
        let began = ContinuousClock.now
        let lost = try rig.curl("one")
        #expect(ContinuousClock.now - began < .seconds(1), "a stale entry makes nobody wait")
        #expect(
            lost.contains("another instance of the connectivity service") || lost.contains("There is no"),
            "\(lost)"
        )
        #expect(
            try Rig.eventually {
                try rig.status("one").contains("two at") && rig.status("one").contains("DOES NOT ANSWER")
            }
        )
        // It comes back, and so does the connector.
        try rig.startService("two")
        #expect(try Rig.eventually { try rig.curl("one") == "GET 0" && rig.curl("three") == "GET 0" })
    }

    @Test
    func
        `WebSocket, TCP, and a connection that is bound to one inside go through another service as through one's own`()
        throws
    {
        let (web, tcp) = (
            WebSocketPeer.echo(),
            TestServer { socket, _ in
                while let piece = socket.receive(), !piece.isEmpty { socket.send(piece) }
                socket.close()
            }
        )
        defer { web.stop(); tcp.stop() }
        // A login that holds for its connection only.
        let logon = TestServer { socket, number in
            while true {
                let request = socket.receive(through: "\r\n\r\n")
                guard !request.isEmpty else { break }
                let isDone = request.lowercased().contains("authorization: ntlm type3")
                let status = isDone ? "200 OK" : "401 Unauthorized"
                socket.send("HTTP/1.1 \(status)\r\nWWW-Authenticate: NTLM x\r\nContent-Length: 2\r\n\r\n\(10 + number)")
            }
            socket.close()
        }
        defer { logon.stop() }
        let rig = try rig(
            ["one", "two"],
            cloud: "api: {listen: \"127.0.0.1:0\"}\nsocks: {listen: \"127.0.0.1:0\"}"
        )
        defer { rig.stop() }
        let systems =
            Self.systems(web.port, tcp: tcp.port)
            + ", {virtual-host: \"logon.test:80\", internal-host: \"127.0.0.1:\(logon.port)\", protocol: HTTP, resources: [{path: /x, access: path-only}]}"
        try rig.writeConnector("c", to: "two", systems: systems)
        try rig.enrol("c", at: "two")
        try rig.startConnector("c", at: "two")
        let (proxy, service) = (rig.ports["one"]?.proxy ?? 0, try #require(rig.services["one"]))
        #expect(try Rig.eventually { try !rig.curl("one").contains("There is no") })
        for _ in 0..<4 {
            var (head, peer) = try WebSocketPeer.open(through: proxy, "http://backend.test/socket")
            #expect(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
            for size in [0, 126, 300_000] {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                peer.send(2, payload)
                #expect(peer.next() == .init(2, payload), "\(size)")
            }
            peer.send(8, [3, 232])
            #expect(peer.next() == .init(8, [3, 232]) && peer.next() == nil)
        }
        let client = try SocksClient(service, rig.folder, file: "one.conf")
        let (socket, reply) = try client.open("tcp.test", 7000)
        #expect(reply == 0)
        socket.send([1, 2, 3])
        #expect(client.exactly(3, socket) == [1, 2, 3])
        socket.finishSending()
        #expect(socket.receiveToEnd() == ([], false))
        #expect(try client.open("none.test", 1).1 != 0, "the connector's refusal arrives")
        func ask(_ socket: Socket, _ authorization: String) -> SimpleResponse {
            socket.send("GET http://logon.test/x HTTP/1.1\r\nHost: logon.test\r\n\(authorization)\r\n")
            var bytes: [UInt8] = []
            while SimpleHTTP.messageEnd(bytes, from: 0) == nil, let piece = socket.receive(), !piece.isEmpty {
                bytes += piece
            }
            return SimpleHTTP.responses(bytes)[0]
        }
        let (first, second) = (try Socket(connectingTo: proxy), try Socket(connectingTo: proxy))
        let challenge = ask(first, "Authorization: NTLM type1\r\n")
        #expect(challenge.status == 401 && challenge.field("sap-connectivity-pin") == nil)
        #expect(ask(second, "").text != challenge.text)
        let done = ask(first, "Authorization: NTLM type3\r\n")
        #expect(done.status == 200 && done.text == challenge.text)
    }

    /// Two connectors of one identity at two services: "a" serves, until "b" comes and takes its place everywhere.
    private static let instance = "replicas: active\ninstance: x"

    /// Two connectors with the same certificate.
    private func withTwins(
        at earlier: String,
        then later: String,
        _ extra: String = "",
        _ body: (StoreRig) throws -> Void
    ) throws {
        let (first, second) = (
            TestServer.http { _, _ in TestServer.ok("first") }, TestServer.http { _, _ in TestServer.ok("second") }
        )
        defer { first.stop(); second.stop() }
        let rig = try rig(["one", "two"])
        defer { rig.stop() }
        try rig.writeConnector("a", to: earlier, systems: Self.systems(first.port), extra: extra)
        try rig.writeConnector("b", to: later, systems: Self.systems(second.port), extra: extra)
        try rig.enrol("a", at: earlier)
        try rig.startConnector("a", at: earlier)
        #expect(try Rig.eventually { try rig.curl(later) == "first" })
        try rig.startConnector("b", at: later)
        #expect(try Rig.eventually { try rig.curl(earlier) == "second" })
        try rig.connectors["a"]?.wait(for: "superseded")
        try body(rig)
    }

    @Test(arguments: ["", instance])
    func
        `Of two sessions of one connector the later one is in force at all services, and the earlier one comes back when that has gone`(
            extra: String
        )
        throws
    {
        try withTwins(at: "one", then: "two", extra) { rig throws in
            for _ in 0..<20 { #expect(try rig.curl("one") == "second" && rig.curl("two") == "second") }
            rig.connectors["b"]?.stop(SIGKILL)
            #expect(try Rig.eventually { try rig.curl("one") == "first" && rig.curl("two") == "first" })
        }
    }

    @Test func `A service that stops hands nothing over any more, finishes what others have sent, and nobody notices`()
        throws
    {
        let isHeld = DispatchSemaphore(value: 0)
        let goesOn = DispatchSemaphore(value: 0)
        let backend = TestServer.http { head, _ in
            if head.contains("/x/slow") {
                isHeld.signal()
                _ = goesOn.wait(timeout: .now() + 30)
            }
            return TestServer.ok("inside")
        }
        defer { backend.stop() }
        let rig = try rig(["one", "two"])
        defer { rig.stop() }
        try rig.writeConnector("c", to: "two", systems: Self.systems(backend.port))
        try rig.enrol("c", at: "two")
        try rig.startConnector("c", at: "two")
        #expect(try Rig.eventually { try rig.curl("one") == "inside" })
        let slow = try Socket(connectingTo: rig.ports["one"]?.proxy ?? 0)
        slow.send("GET http://backend.test/x/slow HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        let isThere = isHeld.wait(timeout: .now() + 20) == .success
        if !isThere { Issue.record("the slow request did not arrive: \(rig.services.mapValues(\.log))") }
        let two = try #require(rig.services["two"])
        kill(two.pid, SIGTERM)
        try two.wait(for: "draining")
        goesOn.signal()
        #expect(SimpleHTTP.responses(slow.receiveToEnd().bytes).first?.text == "inside")
        #expect(two.stop() == 0)
        #expect(
            try Rig.eventually { try rig.status("one").contains("beside         two") == false },
            "it has left the directory"
        )
    }

    @Test(arguments: ["", instance])
    func `A service that starts again does not make the connector that stands by take over`(extra: String) throws {
        try withTwins(at: "two", then: "one", extra) { rig throws in
            // The only one that stands by dials it, and it knows nothing of what was.
            rig.stopService("two", SIGKILL)
            try rig.startService("two")
            let two = try #require(rig.services["two"])
            try two.wait(for: "tunnel connected")
            try two.wait(for: "superseded", count: 1)
            for _ in 0..<20 { #expect(try rig.curl("one") == "second") }
            #expect(try Rig.eventually { try rig.curl("two") == "second" })
        }
    }

    @Test func `One that gets an instance of its own lets the others in again, without a start`() throws {
        let (first, second) = (
            TestServer.http { _, _ in TestServer.ok("first") }, TestServer.http { _, _ in TestServer.ok("second") }
        )
        defer { first.stop(); second.stop() }
        let rig = try rig(["one", "two"])
        defer { rig.stop() }
        func write(_ name: String, _ port: Int, at service: String, _ extra: String) throws {
            let folder = "certificate: \(name).pem, private-key: \(name).key, trusted-ca: \(name)-ca.pem"
            try rig.writeConnector(name, to: service, systems: Self.systems(port), extra: extra)
            try rig.rewrite("\(name).conf") {
                $0.replacing("certificate: c.pem, private-key: c.key, trusted-ca: ca.pem", with: folder)
            }
        }
        try write("north", first.port, at: "one", "replicas: active\ninstance: north")
        try rig.enrol("north", at: "one")
        try rig.startConnector("north", at: "one")
        // A connector of old takes over everywhere.
        try write("south", second.port, at: "two", "")
        try rig.enrol("south", at: "two")
        try rig.startConnector("south", at: "two")
        try rig.connectors["north"]?.wait(for: "superseded")
        #expect(try Rig.eventually { try rig.curl("one") == "second" && rig.curl("two") == "second" })
        // Enrolled anew, for one of several.
        try rig.rewrite("south.conf") { $0 + "\nreplicas: active\ninstance: south\n" }
        try rig.enrol("south", at: "two")
        #expect(try rig.run("reload", "--socket", "south.sock").status == 0)
        #expect(try Rig.eventually { try rig.curl("one") == "first" })
        #expect(try Rig.eventually { try rig.curl("two") == "second" })
    }

    @Test func `A store that was away for longer than a lease makes nobody forget the others`() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { backend.stop() }
        let rig = try rig(["one", "two"])
        defer { rig.stop() }
        try rig.writeConnector("c", to: "two", systems: Self.systems(backend.port))
        try rig.enrol("c", at: "two")
        try rig.startConnector("c", at: "two")
        #expect(try Rig.eventually { try rig.curl("one") == "inside" })
        // Away for longer than a lease: what was read last counts, then and when it is back.
        try rig.database.halt()
        #expect(try Rig.eventually { try rig.status("one").contains("AWAY") })
        let began = ContinuousClock.now
        while ContinuousClock.now - began < .seconds(17) { #expect(try rig.curl("one") == "inside") }
        try rig.database.start()
        var answers: Set<String> = []
        let isBack = try Rig.eventually {
            answers.insert(try rig.curl("one"))
            return try !rig.status("one").contains("AWAY") && !rig.status("two").contains("AWAY")
        }
        #expect(isBack && answers == ["inside"])
        let back = ContinuousClock.now
        while ContinuousClock.now - back < .seconds(7) { #expect(try rig.curl("one") == "inside") }
        #expect(try rig.status("one").contains("beside         two at"))
    }
}
