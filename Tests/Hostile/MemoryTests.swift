import ConnectorTestSupport
import Foundation
import Testing

/// What strangers, connectors and programs can make the service hold (attacks.md, "Fills memory").
@Suite(.serialized)
struct MemoryTests {
    @Test("Interim responses without end to a client that reads nothing end the request, and cost nothing")
    func interimResponses() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let peer = try rig.hostile(try rig.enrol(HostileRig.location))
        let client = try rig.connect()
        client.send(HostileRig.request("GET", "Connection: close\r\n"))
        let stream = try peer.nextRequest()
        let before = rig.cloud.memory
        _ = peer.flood(Frame.response(stream, "103").bytes, for: 3)
        let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
        #expect(answer.contains("HTTP/1.1 502") && answer.contains("more interim responses than one request may have"))
        #expect(answer.components(separatedBy: "HTTP/1.1 103").count - 1 <= 16)
        #expect(Sanitizer.isOn || rig.cloud.peakMemory < before + 48, "\(rig.cloud.peakMemory) MiB of \(before)")
        #expect(try rig.isServing())
    }

    @Test("Half handshakes are small, and what they took goes back when they are gone")
    func halfHandshakes() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let count = 600
        let before = rig.cloud.residentKiB
        // The beginning of a ClientHello (RFC 8446 section 5.1).
        let sockets = try (0..<count).map { _ in
            let socket = try Socket(connectingTo: rig.tunnelPort)
            socket.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])
            return socket
        }
        #expect(Rig.eventually { rig.cloud.openDescriptors > count })
        let each = (rig.cloud.residentKiB - before) / count
        #expect(Sanitizer.isOn || each < 96, "\(each) KiB for each")
        for socket in sockets { socket.close() }
        #expect(
            Sanitizer.isOn || Rig.eventually { rig.cloud.residentKiB < before + (24 << 10) },
            "\(rig.cloud.residentKiB) KiB of \(before)"
        )
        #expect(try rig.isServing())
    }

    @Test("Half handshakes are cut within ten seconds, and others need not wait for that")
    func halfHandshakesAreCut() throws {
        let rig = try HostileRig(proxy: ", max-connections: 40")
        defer { rig.stop() }
        let identity = try rig.enrol(HostileRig.location)
        let sockets = try (0..<60).map { _ in try Socket(connectingTo: rig.tunnelPort, from: "127.0.0.7") }
        for socket in sockets { socket.send([0x16, 0x03, 0x01]) }
        try rig.cloud.wait(for: "their address has its share")
        // From another address.
        _ = try rig.hostile(identity)
        let start = DispatchTime.now()
        for socket in sockets { _ = socket.receiveToEnd() }
        #expect(Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9 < 12)
    }

    @Test("Half bodies on the API are refused before they fill the memory; others' are taken")
    func halfBodies() throws {
        let rig = try HostileRig(cloud: "api: {listen: \"127.0.0.1:0\", directory: api}")
        defer { rig.stop() }
        let port = try rig.port("api started")
        let before = rig.cloud.memory
        let head = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"
        let body = [UInt8](repeating: 97, count: 900 << 10)
        let sockets = try (0..<200).map { _ in
            let socket = try Socket(connectingTo: port, from: "127.0.0.7")
            socket.send(head)
            socket.send(body)
            return socket
        }
        let refused = sockets.count { socket in
            socket.isReadable(within: 50) && socket.receive(through: "\r\n").hasPrefix("HTTP/1.1 503")
        }
        #expect(refused > 150)
        #expect(Sanitizer.isOn || rig.cloud.peakMemory < before + 80, "\(rig.cloud.peakMemory) MiB of \(before)")
        let other = try Socket(connectingTo: port)
        other.send("POST /oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n")
        other.send([UInt8](repeating: 97, count: 1_000_000))
        #expect(other.receive(through: "\r\n").hasPrefix("HTTP/1.1 415"))
    }

    @Test("SOCKS: what a program sends before there is a connection waits with it, and none of it is lost")
    func socksEarlyData() throws {
        let rig = try HostileRig(
            cloud: "api: {listen: \"127.0.0.1:0\", directory: api}\nsocks: {listen: \"127.0.0.1:0\"}"
        )
        defer { rig.stop() }
        let peer = try rig.hostile(try rig.enrol(HostileRig.location))
        let port = try rig.port("socks started")
        let token = try Rig.run(["token", "--config", "cloud.conf"], rig.folder).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let before = rig.cloud.memory
        let location = Array(Data(HostileRig.location.utf8).base64EncodedString().utf8)
        let client = try Socket(connectingTo: port)
        let length = withUnsafeBytes(of: UInt32(token.utf8.count).bigEndian) { Array($0) }
        client.send([5, 1, 0x80, 1] + length + Array(token.utf8) + [UInt8(location.count)] + location)
        client.send([5, 1, 0, 3, 4] + Array("host".utf8) + [0, 80] + Array("begin ".utf8))
        let stream = try peer.nextRequest()
        // The connector says nothing yet; the program goes on until the kernel's buffers are full.
        let taken = client.sendWithoutWaiting([UInt8](repeating: 120, count: 64 << 20), for: 1)
        #expect(taken < 16 << 20, "\(taken) bytes were taken")
        #expect(Sanitizer.isOn || rig.cloud.peakMemory < before + 32, "\(rig.cloud.peakMemory) MiB of \(before)")
        peer.send(.response(stream))
        var received: [UInt8] = []
        while received.count < taken + 6, let frame = peer.next({ $0.type == Frame.Kind.data && $0.stream == stream }) {
            received += frame.payload
            peer.send(.windowUpdate(stream, UInt32(frame.payload.count)), .windowUpdate(0, UInt32(frame.payload.count)))
        }
        #expect(received.count == taken + 6 && received.prefix(6).elementsEqual("begin ".utf8))
        #expect(received.dropFirst(6).allSatisfy { $0 == 120 })
    }

    @Test("One certificate gets a few tunnels, and another identity its own at once")
    func tunnelsOfOneIdentity() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        let identity = try rig.enrol(HostileRig.location)
        // A new session for each: those before it are on their way out, and count.
        let peers = (0..<40).map { _ in try? rig.hostile(identity) }
        #expect(peers.count { $0 != nil } <= 16)
        try rig.cloud.wait(for: "the connector has as many tunnels as one may have")
        try rig.startConnector()
        #expect(try rig.isServing())
    }

    @Test(
        "A process that takes more than it may refuses new connections and says so; what is configured anew counts at once"
    )
    func memoryOfTheProcess() throws {
        let rig = try HostileRig(cloud: "limits: {memory-mib: 1}")
        defer { rig.stop() }
        try rig.cloud.wait(for: "short of memory: new connections are refused")
        let refused = try rig.connect()
        refused.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(refused.receiveToEnd().bytes.isEmpty)
        #expect(try rig.metrics().contains("connector_service_memory_shortages_total 1"))
        let conf = rig.folder.appending(path: "cloud.conf")
        let text = try String(contentsOf: conf, encoding: .utf8)
        try text.replacingOccurrences(of: "memory-mib: 1", with: "memory-mib: 0")
            .write(to: conf, atomically: true, encoding: .utf8)
        let reload = try Rig.run(["reload", "--cloud", "--config", "cloud.conf"], rig.folder)
        #expect(reload.status == 0, "\(reload.output)")
        try rig.cloud.wait(for: "memory suffices again")
        try rig.startConnector()
        #expect(try rig.isServing())
    }

    @Test("The programs of one subaccount leave places to those of others")
    func tenantsShare() throws {
        let rig = try HostileRig(
            cloud: """
                api: {listen: "127.0.0.1:0", directory: api, tenants: [{subaccount: other, subdomain: other}]}
                """,
            proxy: ", max-connections: 40, authorization: token"
        )
        defer { rig.stop() }
        try rig.startConnector()
        _ = try rig.enrol("elsewhere", subaccount: "other")
        let other = try rig.hostile(
            HostileRig.Identity(
                certificate: rig.folder.appending(path: "elsewhere.pem").path,
                key: rig.folder.appending(path: "elsewhere.key").path,
                anchor: rig.folder.appending(path: "elsewhere-ca.pem").path
            )
        )
        func token(_ subaccount: String) throws -> String {
            try Rig.run(["token", "--config", "cloud.conf", "--subaccount", subaccount], rig.folder).output
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let tokens = (test: try token("test"), other: try token("other"))
        func ask(_ token: String, from source: String, _ more: String = "") throws -> (Socket, String) {
            let client = try Socket(connectingTo: rig.proxyPort, from: source)
            client.send(
                "GET http://backend.test/x HTTP/1.1\r\nHost: backend.test\r\nProxy-Authorization: Bearer \(token)\r\n\(more)\r\n"
            )
            return (client, String(decoding: client.receive { $0.contains(10) }, as: UTF8.self))
        }
        // Idle connections of programs at several addresses.
        let held = try (0..<30).map { try ask(tokens.test, from: "127.0.0.\(2 + $0 % 4)") }
        #expect(held.allSatisfy { $0.1.hasPrefix("HTTP/1.1 200") })
        #expect(try ask(tokens.test, from: "127.0.0.9").1.hasPrefix("HTTP/1.1 503"))
        let client = try Socket(connectingTo: rig.proxyPort, from: "127.0.0.8")
        client.send(
            "GET http://backend.test/x HTTP/1.1\r\nHost: backend.test\r\nProxy-Authorization: Bearer \(tokens.other)\r\n"
                + "SAP-Connectivity-SCC-Location_ID: elsewhere\r\n\r\n"
        )
        let stream = try other.nextRequest()
        other.send(.response(stream, isEnd: true))
        #expect(client.receive(through: "\r\n").hasPrefix("HTTP/1.1 200"))
        for (socket, _) in held { socket.close() }
        #expect(try Rig.eventually { try ask(tokens.test, from: "127.0.0.9").1.hasPrefix("HTTP/1.1 200") })
    }

    @Test("A connector gets so many certificates an hour, and no more files are made")
    func certificates() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        let peer = try rig.hostile(try rig.enrol(HostileRig.location))
        let key = rig.folder.appending(path: "hostile.key").path
        let request = try Rig.run(
            URL(filePath: "/usr/bin/openssl"),
            ["req", "-new", "-key", key, "-subj", "/CN=x"],
            rig.folder
        ).output
        let text = String(decoding: try JSONEncoder().encode(["certificateRequest": request]), as: UTF8.self)
        for _ in 0..<200 {
            peer.say(text)
            guard peer.next({ $0.type == Frame.Kind.data && $0.stream == 1 }) != nil else { break }
        }
        let issued = try FileManager.default.contentsOfDirectory(
            atPath: rig.folder.appending(path: "authority/issued").path
        )
        #expect(issued.count <= 32, "\(issued.count)")
        #expect(issued.count > 20)
    }
}

/// Whether this build watches itself; its figures for memory are not the product's then.
enum Sanitizer {
    static let isOn = ProcessInfo.processInfo.environment["CONNECTOR_SANITIZER"] != nil
}
