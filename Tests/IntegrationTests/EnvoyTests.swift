import ConnectorTestSupport
import Foundation
import Testing

/// Our connector at an Envoy that takes reverse tunnels, where the environment names one of version 1.40 as `ENVOY`.
@Suite(.serialized, .enabled(if: EnvoyRig.program != nil)) struct EnvoyTests {
    private static let allowed =
        "{path: /api, access: path-and-sub-paths}, {path: /ws, access: path-only, upgrade-allowed: true}"

    private static func started(_ transport: EnvoyRig.Transport = .mutual) throws -> (EnvoyRig, TestServer) {
        let plain = TestServer.http { _, _ in TestServer.ok("inside") }
        return (try EnvoyRig(transport), plain)
    }

    @Test(
        "Requests, uploads, large answers and WebSocket go through an Envoy's reverse tunnel, and the policy is asked"
    )
    func requests() throws {
        let big = String(repeating: "0123456789abcdef", count: 65536)
        let sockets = WebSocketPeer.echo()
        let plain = TestServer.http { request, body in
            TestServer.ok(request.contains("/big") ? big : request.hasPrefix("POST") ? "\(body.count)" : "inside")
        }
        let rig = try EnvoyRig()
        defer {
            rig.stop()
            sockets.stop()
            plain.stop()
        }
        let systems =
            Rig.system(port: plain.port, Self.allowed) + Rig.system("ws.test:80", port: sockets.port, Self.allowed)
        try rig.startConnector(systems)
        try big.write(to: rig.folder.appending(path: "big"), atomically: true, encoding: .utf8)
        #expect(try rig.get("/api/x").hasSuffix("inside"))
        #expect(try rig.get("/other").contains("403 "))
        #expect(try rig.get("/api/big").hasSuffix(big))
        #expect(try rig.get("/api/up", "--data-binary", "@big").hasSuffix("\(big.utf8.count)"))
        let socket = try Socket(connectingTo: rig.entry)
        socket.send(WebSocketPeer.request("/ws").replacingOccurrences(of: "Host: ", with: "Host: ws.test\r\nX-Other: "))
        let head = socket.receive(through: "\r\n\r\n")
        #expect(head.contains(" 101 "), "\(head)")
        var peer = WebSocketPeer(socket, isClient: true)
        peer.send(1, Array("frame".utf8))
        #expect(peer.next() == .init(1, Array("frame".utf8)))
        let status = try rig.control("status", "--socket", "connector.sock")
        #expect(status.contains("static: the other end does not hear what is exposed"), "\(status)")
    }

    @Test("A tunnel that nothing has come through is kept by the Envoy's pings, and ends at once with the connector")
    func idle() throws {
        let (rig, plain) = try Self.started()
        defer {
            rig.stop()
            plain.stop()
        }
        // Three intervals are 3 s: silence of ours or of the Envoy's would end it.
        let connector = try rig.startConnector(Rig.system(port: plain.port, Self.allowed), "ping-interval: 1s")
        let (mark, start) = (connector.mark, rig.figure("server.uptime"))
        #expect(Rig.eventually { rig.figure("server.uptime") >= start + 5 })
        #expect(connector.log(after: mark).allSatisfy { !$0.contains("tunnel disconnected") })
        #expect(try rig.get("/api/x").hasSuffix("inside"))
        #expect(connector.stop(SIGTERM) == 0)
    }

    @Test("An Envoy that was started again is found again")
    func restart() throws {
        let (rig, plain) = try Self.started()
        defer {
            rig.stop()
            plain.stop()
        }
        let connector = try rig.startConnector(Rig.system(port: plain.port, Self.allowed))
        #expect(try rig.get("/api/x").hasSuffix("inside"))
        let mark = connector.mark
        try rig.restart()
        try connector.wait(for: "tunnel connected", after: mark)
        #expect(Rig.eventually { (try? rig.get("/api/x").hasSuffix("inside")) == true })
    }

    @Test("A reload that replaces the tunnels leaves none behind")
    func reload() throws {
        let (rig, plain) = try Self.started()
        defer {
            rig.stop()
            plain.stop()
        }
        let connector = try rig.startConnector(Rig.system(port: plain.port, Self.allowed))
        let mark = connector.mark
        try rig.rewrite("cluster-id: plants", "cluster-id: others")
        connector.signal(SIGHUP)
        try connector.wait(for: "tunnel disconnected", after: mark)
        #expect(try rig.get("/api/x").hasSuffix("inside"))
        let tunnels =
            try rig.control("status", "--socket", "connector.sock").components(separatedBy: "\ntunnel  ").count - 1
        #expect(tunnels == 1)
    }

    @Test("Clear text and a session without a certificate are refused, and the log says what the Envoy needs")
    func unsafe() throws {
        for (transport, cause) in [
            (EnvoyRig.Transport.none, "in clear text"), (.withoutCertificate, "presented no certificate"),
            (.otherName, "is for another name"), (.oldVersion, "speaks no version of TLS that is allowed here"),
        ] {
            let (rig, plain) = try Self.started(transport)
            defer {
                rig.stop()
                plain.stop()
            }
            let connector = try rig.startConnector(Rig.system(port: plain.port, Self.allowed))
            #expect(try !rig.get("/api/x").contains("inside"))
            try connector.wait(for: cause)
        }
    }

    @Test("What the Envoy does not take is told with its status, and the doctor says the same")
    func refused() throws {
        let rig = try EnvoyRig()
        defer { rig.stop() }
        let ready = try rig.control("doctor", "--config", "connector.conf")
        #expect(ready.contains("takes tunnels of this connector"), "\(ready)")
        try rig.rewrite("cluster-id: plants", "cluster-id: plants, path: /elsewhere")
        let found = try rig.control("doctor", "--config", "connector.conf")
        #expect(found.contains("the Envoy answered 404"), "\(found)")
        let connector = try rig.connector()
        try connector.wait(for: "the Envoy answered 404 to the offer of a reverse tunnel")
    }
}
