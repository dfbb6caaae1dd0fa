import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// WebSocket from a client through both programs to an internal host, over real sockets.
@Suite(.serialized) struct WebSocketTests {
    private static let allowed =
        "{path: /ws, access: path-only, upgrade-allowed: true}, {path: /plain, access: path-only}"

    private static func rig(_ server: TestServer, cloud: String = "", extra: String = "") throws -> Rig {
        let rig = try Rig(cloud: cloud)
        try rig.startConnector(systems: Rig.system("ws.test:80", port: server.port, allowed), extra: extra)
        return rig
    }

    private static func text(_ frame: WebSocketPeer.Frame?) -> String {
        frame.map { String(decoding: $0.payload, as: UTF8.self) } ?? "no frame"
    }

    @Test("Frames go both ways, with the answer to the client's own key and what the server chose", arguments: [1, 2])
    func echo(_ loops: Int) throws {
        let server = WebSocketPeer.server("Sec-WebSocket-Protocol: mqtt\r\nSet-Cookie: a=b\r\n") { head, peer in
            peer.send(1, Array(head.utf8))
            while let frame = peer.next() {
                peer.send(frame.opcode, frame.payload)
                if frame.opcode == 8 { return }
            }
        }
        defer { server.stop() }
        let rig = try Self.rig(server, cloud: "event-loops: \(loops)", extra: "event-loops: \(loops)")
        defer { rig.stop() }
        for _ in 0..<4 {
            var (head, peer) = try WebSocketPeer.open(
                rig,
                "http://ws.test/ws?room=1",
                "Sec-WebSocket-Protocol: mqtt, other\r\nOrigin: https://app.test\r\nCookie: c=d\r\n"
            )
            #expect(head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"), "\(head)")
            #expect(head.contains("Sec-WebSocket-Accept: \(WebSocketPeer.accept)\r\n"))
            #expect(head.lowercased().contains("sec-websocket-protocol: mqtt\r\n"))
            #expect(head.lowercased().contains("set-cookie: a=b\r\n"))
            let seen = Self.text(peer.next())
            #expect(seen.hasPrefix("GET /ws?room=1 HTTP/1.1\r\nHost: ws.test\r\n"), "\(seen)")
            #expect(seen.contains("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "))
            #expect(!seen.contains(WebSocketPeer.key) && seen.contains("Cookie: c=d\r\n"))
            #expect(seen.lowercased().contains("sec-websocket-protocol: mqtt, other\r\n"))
            #expect(seen.lowercased().contains("origin: https://app.test\r\n"))
            for size in [0, 125, 126, 70_000] {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                peer.send(2, payload)
                #expect(peer.next() == .init(2, payload), "\(size)")
            }
            peer.send(8, [3, 232])
            #expect(peer.next() == .init(8, [3, 232]))
            #expect(peer.next() == nil)
        }
    }

    @Test("A server that speaks first, and a client that does not wait: no byte is lost")
    func eager() throws {
        let first = WebSocketPeer.frame(1, Array("server first".utf8), isMasked: false)
        let server = WebSocketPeer.server(first: first) { _, peer in
            while let frame = peer.next() { peer.send(frame.opcode, frame.payload) }
        }
        defer { server.stop() }
        let rig = try Self.rig(server)
        defer { rig.stop() }
        let early = WebSocketPeer.frame(1, Array("client first".utf8), isMasked: true)
        var (head, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws", early: early)
        #expect(head.contains(" 101 "))
        #expect(Self.text(peer.next()) == "server first")
        #expect(Self.text(peer.next()) == "client first")
        // The end of what the client sends is the end of what the server gets, which ends then, too.
        peer.socket.finishSending()
        #expect(peer.socket.receiveToEnd() == ([], false))
    }

    @Test("Each direction ends by itself, and a reset is a reset")
    func ends() throws {
        let rest = Mutex<[UInt8]>([])
        let server = WebSocketPeer.server { _, peer in
            switch peer.next()?.payload {
            case [1]:
                peer.socket.finishSending()
                // The other direction is open still.
                if let frame = peer.next() { rest.withLock { $0 = frame.payload } }
            case [2]: peer.socket.reset()
            default: break
            }
        }
        defer { server.stop() }
        let rig = try Self.rig(server)
        defer { rig.stop() }
        let (_, half) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        half.send(2, [1])
        #expect(half.socket.receiveToEnd() == ([], false))
        half.send(2, [9, 9])
        #expect(Rig.eventually { rest.withLock { $0 } == [9, 9] })
        half.socket.close()
        let (_, broken) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        broken.send(2, [2])
        #expect(broken.socket.receiveToEnd().isReset)
    }

    @Test("The policy decides before anything is sent; a request that is no handshake is told so after it")
    func policy() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Self.rig(server, extra: "audit: {directory: audit}")
        defer { rig.stop() }
        let (denied, _) = try WebSocketPeer.open(rig, "http://ws.test/plain")
        #expect(denied.hasPrefix("HTTP/1.1 403 ") && denied.contains("upgrade not allowed"), "\(denied)")
        #expect(try WebSocketPeer.open(rig, "http://ws.test/other").head.hasPrefix("HTTP/1.1 403 "))
        #expect(try WebSocketPeer.open(rig, "http://no.test/ws").head.hasPrefix("HTTP/1.1 403 "))
        // Without a key, with two, with a body, with another method: the policy is asked first, then the handshake.
        let upgrade = ["-H", "Upgrade: WebSocket", "-H", "Connection: upgrade"]
        func curl(_ arguments: [String]) throws -> String {
            try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                ["-s", "-i", "-m", "20", "-x", "127.0.0.1:\(rig.proxyPort)"] + upgrade + arguments,
                rig.folder
            ).output
        }
        let key = "Sec-WebSocket-Key: \(WebSocketPeer.key)"
        #expect(try curl(["http://ws.test/plain"]).contains("403 Forbidden"))
        for wrong in [[], ["-H", "Sec-WebSocket-Key: short"], ["-H", key, "-H", key], ["-H", key, "-d", "body"]] {
            let answer = try curl(wrong + ["http://ws.test/ws"])
            #expect(answer.contains("400 Bad Request") && answer.contains("Sec-WebSocket-Key"), "\(wrong) \(answer)")
        }
        // A length of no bytes is none.
        let zero = try WebSocketPeer.open(rig, "http://ws.test/ws", "Content-Length: 0\r\n")
        #expect(zero.head.contains(" 101 "))
        var peer = zero.peer
        peer.send(1, [7])
        #expect(peer.next() == .init(1, [7]))
        // HTTP/1.0 knows no upgrade.
        #expect(try curl(["--http1.0", "-H", key, "http://ws.test/plain"]).contains("403") == false)
        // Records are written by a thread of their own.
        #expect(try Rig.eventually { try rig.auditText().components(separatedBy: "Allowing an upgrade").count == 2 })
    }

    @Test(
        "An answer other than 101 is passed on as it is; a false 101 is not passed on",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "200 OK"),
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nbody", "401 Unauthorized"),
            ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 4\r\n\r\nbody", "426 "),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "502 "),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                    + "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "502 "
            ),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                    + "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "502 "
            ),
        ]
    )
    func otherAnswers(_ answer: String, _ expected: String) throws {
        let server = TestServer.http { _, _ in answer }
        defer { server.stop() }
        let rig = try Self.rig(server)
        defer { rig.stop() }
        let socket = try rig.connect()
        socket.send(WebSocketPeer.request("http://ws.test/ws"))
        // A success of an extended CONNECT has no length (RFC 9110 section 9.3.6), so it comes in chunks.
        let end = expected == "200 OK" ? "0\r\n\r\n" : expected == "502 " ? "\n" : "body"
        let text = socket.receive(through: end)
        #expect(text.hasPrefix("HTTP/1.1 \(expected)"), "\(text)")
        if expected != "502 " {
            // The connection goes on with requests, and no frame is read into one.
            socket.send("GET http://ws.test/plain HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(socket.receive { !$0.isEmpty }.starts(with: Array("HTTP/1.1".utf8)))
        }
    }

    @Test(
        "At its end, the service says 1001 to both sides of what is open, and so does a connector",
        arguments: [true, false]
    )
    func drain(_ isService: Bool) throws {
        let seen = Mutex<[UInt8]>([])
        let server = WebSocketPeer.server { _, peer in
            while let frame = peer.next() {
                if frame.opcode == 8 { return seen.withLock { $0 = frame.payload } }
                peer.send(frame.opcode, frame.payload)
            }
        }
        defer { server.stop() }
        let rig = try Self.rig(
            server,
            cloud: "times: {drain: 1s}",
            extra: "times: {drain: 1s}\naudit: {directory: audit}"
        )
        defer { rig.stop() }
        var (head, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        #expect(head.contains(" 101 "))
        peer.send(1, Array("before".utf8))
        #expect(Self.text(peer.next()) == "before")
        let stopping = isService ? rig.cloud : rig.connectors[0]
        stopping.signal(SIGTERM)
        // While it drains, frames go on.
        peer.send(1, Array("while".utf8))
        #expect(Self.text(peer.next()) == "while")
        #expect(peer.next() == .init(8, [0x03, 0xE9]))
        #expect(peer.next() == nil)
        #expect(Rig.eventually { seen.withLock { $0 } == [0x03, 0xE9] })
        rig.connectors[0].stop()
        let audit = try rig.auditText()
        #expect(audit.contains("Allowing an upgrade to websocket of resource /ws on system ws.test:80"))
        #expect(audit.contains("WebSocket of resource /ws on system ws.test:80 ended"), "\(audit)")
    }

    @Test("At its end in the middle of a frame the connection is reset: no farewell is taken for a part of the frame")
    func drainWithinFrame() throws {
        // Half of a frame, and nothing more.
        let server = WebSocketPeer.server { _, peer in
            _ = peer.next()
            peer.socket.send([0x82, 126, 0x10, 0x00] + [UInt8](repeating: 7, count: 100))
            while peer.next() != nil {}
        }
        defer { server.stop() }
        let rig = try Self.rig(server, extra: "times: {drain: 0s}")
        defer { rig.stop() }
        let (_, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        peer.send(1, [1])
        #expect(peer.socket.receive { $0.count >= 104 }.count == 104)
        rig.connectors[0].signal(SIGTERM)
        let rest = peer.socket.receiveToEnd()
        #expect(rest.bytes.isEmpty && rest.isReset)
    }

    @Test(
        "A rotation of the tunnels loses no frame: what is open goes on, and is closed with 1001 when its time is over"
    )
    func rotation() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Self.rig(server, extra: "times: {drain: 2s}")
        defer { rig.stop() }
        var (_, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        let mark = rig.cloud.mark
        // It returns when the old tunnels are gone.
        let rotate = Process()
        rotate.executableURL = Repository.connectord
        (rotate.arguments, rotate.currentDirectoryURL) = (["rotate", "--config", "connector0.conf"], rig.folder)
        try rotate.run()
        try rig.cloud.wait(for: "tunnel connected", after: mark)
        var answered = 0
        while true {
            peer.send(2, [UInt8](repeating: UInt8(answered & 255), count: 1000))
            guard let frame = peer.next(), frame.opcode == 2 else { break }
            #expect(frame.payload == [UInt8](repeating: UInt8(answered & 255), count: 1000))
            answered += 1
            // Meanwhile others are let in, through the new tunnel.
            if answered == 10 {
                var (head, new) = try WebSocketPeer.open(rig, "http://ws.test/ws")
                new.send(1, [1])
                #expect(head.contains(" 101 ") && new.next() == .init(1, [1]))
            }
        }
        #expect(answered > 10)
        rotate.waitUntilExit()
        #expect(rotate.terminationStatus == 0)
    }

    @Test("A reload leaves open sockets alone, counts them, and says 1008 to those that are exposed no more")
    func reload() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Self.rig(server)
        defer { rig.stop() }
        var (_, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        peer.send(1, [65])
        #expect(peer.next() == .init(1, [65]))
        try rig.rewrite { $0.replacing("{path: /plain, ", with: "{path: /more, ") }
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        peer.send(1, [66])
        #expect(peer.next() == .init(1, [66]))
        let open = "connector_websockets{subaccount=\"test\",location_id=\"\",virtual_host=\"ws.test:80\"} "
        #expect(try Self.metrics(rig).contains(open + "1\n"))
        try rig.rewrite { $0.replacing(", upgrade-allowed: true", with: "") }
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(peer.next() == .init(8, [0x03, 0xF0]))
        #expect(peer.next() == nil)
        #expect(try Rig.eventually { try Self.metrics(rig).contains(open + "0\n") })
    }

    private static func metrics(_ rig: Rig) throws -> String {
        try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "--unix-socket", "connector.sock", "http://x/metrics"],
            rig.folder
        ).output
    }

    @Test("Beside sixteen sockets that nobody reads, requests and other sockets go on")
    func stopped() throws {
        let flood = WebSocketPeer.server { head, peer in
            guard head.contains("flood") else {
                while let frame = peer.next() { peer.send(frame.opcode, frame.payload) }
                return
            }
            let frame = WebSocketPeer.frame(2, [UInt8](repeating: 1, count: 65536), isMasked: false)
            while peer.socket.send(frame) {}
        }
        defer { flood.stop() }
        let rig = try Self.rig(flood)
        defer { rig.stop() }
        let stopped = try (0..<16).map { _ in try WebSocketPeer.open(rig, "http://ws.test/ws?flood").peer }
        var (_, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        for number in 0..<50 {
            let payload = [UInt8](repeating: UInt8(number), count: 2000)
            peer.send(2, payload)
            #expect(peer.next() == .init(2, payload))
        }
        for peer in stopped { peer.socket.close() }
    }

    @Test("Where CONNECT is taken, what comes inside is decided on request by request, and TLS inside is not served")
    func connect() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Self.rig(server, cloud: "proxy: {listen: \"127.0.0.1:PORT\", connect: http}")
        defer { rig.stop() }
        func inside(_ authority: String, _ bytes: String) throws -> Socket {
            let socket = try rig.connect()
            socket.send("CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n\r\n")
            #expect(socket.receive(through: "\r\n\r\n") == "HTTP/1.1 200 Connection established\r\n\r\n")
            socket.send(bytes)
            return socket
        }
        let handshake = WebSocketPeer.request("/ws").replacing("Host: ignored", with: "Host: ws.test")
        let socket = try inside("ws.test:80", handshake)
        #expect(socket.receive(through: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
        var peer = WebSocketPeer(socket, isClient: true)
        peer.send(1, [1, 2, 3])
        #expect(peer.next() == .init(1, [1, 2, 3]))
        let denied = handshake.replacing("/ws HTTP", with: "/plain HTTP").replacing(
            "\r\n\r\n",
            with: "\r\nConnection: close\r\n\r\n"
        )
        #expect(try inside("ws.test:80", denied).receiveToEnd().bytes.starts(with: Array("HTTP/1.1 403 ".utf8)))
        let other = handshake.replacing("Host: ws.test", with: "Host: other.test")
        #expect(try inside("ws.test:80", other).receiveToEnd().bytes.starts(with: Array("HTTP/1.1 400 ".utf8)))
        let tls = try inside("ws.test:80", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n").receiveToEnd()
        #expect(tls.bytes.starts(with: Array("HTTP/1.1 400 ".utf8)))
        // Two in a row are one too many.
        let twice = try inside("ws.test:80", "CONNECT ws.test:80 HTTP/1.1\r\nHost: ws.test:80\r\n\r\n").receiveToEnd()
        #expect(twice.bytes.starts(with: Array("HTTP/1.1 405 ".utf8)))
    }

    @Test("A socket on which nobody says anything for the idle limit is closed with 1001")
    func idle() throws {
        let server = WebSocketPeer.echo()
        defer { server.stop() }
        let rig = try Self.rig(server, extra: "times: {websocket-idle: 1s}")
        defer { rig.stop() }
        var (_, peer) = try WebSocketPeer.open(rig, "http://ws.test/ws")
        #expect(peer.next() == .init(8, [0x03, 0xE9]))
        #expect(peer.next() == nil)
    }
}
