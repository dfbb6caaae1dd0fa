import ConnectorTestSupport
import Foundation
import Testing

/// Slow ones are cut on every listener, and leave the others their places (attacks.md, "Slow and stopped ones").
@Suite(.serialized)
struct SlowTests {
    @Test(
        "Bodies of one byte every three seconds are cut within ten seconds; the same connector serves others meanwhile"
    )
    func slowBodies() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let head = "POST http://backend.test/x HTTP/1.1\r\nHost: backend.test\r\nContent-Length: 100000\r\n\r\n"
        let slow = try SlowClients(200, port: rig.proxyPort, first: head, interval: 3)
        defer { slow.stop() }
        for _ in 0..<20 { #expect(try rig.isServing()) }
        #expect(Rig.eventually { slow.closedCount == 200 })
        #expect(slow.lastClosed < 12, "\(slow.lastClosed) s")
        try rig.cloud.wait(for: "the request body came slower than 50 bytes a second")
    }

    @Test("A body that comes at the rate, with pauses, is taken however long it takes")
    func patientBody() throws {
        let rig = try HostileRig(cloud: "times: {request-body: 2s}\nlimits: {min-body-rate: 50}")
        defer { rig.stop() }
        try rig.startConnector()
        let client = try rig.connect()
        client.send(
            "POST http://backend.test/x HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\nContent-Length: 800\r\n\r\n"
        )
        for _ in 0..<8 {
            client.send([UInt8](repeating: 97, count: 100))
            Thread.sleep(forTimeInterval: 1)
        }
        #expect(String(decoding: client.receiveToEnd().bytes, as: UTF8.self).hasSuffix("/x 800"))
    }

    @Test("Silent connections leave places to other addresses, and go within ten seconds where others wait")
    func silentConnections() throws {
        let rig = try HostileRig(proxy: ", max-connections: 40")
        defer { rig.stop() }
        try rig.startConnector()
        let silent = try SlowClients(60, port: rig.proxyPort, from: "127.0.0.7", first: "", interval: nil)
        defer { silent.stop() }
        for _ in 0..<10 { #expect(try rig.isServing()) }
        // Those beyond the share are closed at once, the others make room in time.
        #expect(Rig.eventually { silent.closedCount == 60 })
        #expect(silent.lastClosed < 12, "\(silent.lastClosed) s")
    }

    @Test("Clients that read nothing are cut when others wait for their places, and not before")
    func stoppedReaders() throws {
        let rig = try HostileRig(cloud: "times: {keep-alive: 2s}")
        defer { rig.stop() }
        let peer = try FramePeer.connector(rig.tunnelPort, try rig.enrol(HostileRig.location))
        // The control stream and five requests.
        try peer.introduce(streams: 6)
        let readers = try (0..<5).map { _ in
            let client = try rig.connect()
            client.limitReceiveBuffer(4096)
            client.send(HostileRig.request())
            return client
        }
        defer { for reader in readers { reader.close() } }
        let streams = try readers.map { _ in try peer.nextRequest() }
        for stream in streams { peer.send(.response(stream)) }
        // Until the clients' buffers and the windows behind them are full.
        peer.fill(streams)
        #expect(!rig.cloud.log.contains { $0.contains("client cut") })
        Thread.sleep(forTimeInterval: 3)
        // There is no place left, until the one that has waited longest is cut for this request.
        let client = try rig.connect()
        client.send(HostileRig.request("GET", "Connection: close\r\n"))
        let stream = try peer.nextRequest()
        peer.send(.response(stream, isEnd: true))
        #expect(String(decoding: client.receiveToEnd().bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
        // The line may come after the answer.
        try rig.cloud.wait(for: "client cut: it takes nothing of its response")
        #expect(rig.cloud.log.count { $0.contains("client cut: it takes nothing of its response") } == 1)
        #expect(Sanitizer.isOn || rig.cloud.memory < 200)
    }

    @Test("API, cockpit and metrics: slow heads and bodies end at absolute limits, and others are served meanwhile")
    func httpListeners() throws {
        let rig = try HostileRig(
            cloud: "api: {listen: \"127.0.0.1:0\", directory: api}\ncockpit: {listen: \"127.0.0.1:0\"}"
        )
        defer { rig.stop() }
        let ports = try (
            api: rig.port("api started"), page: rig.port("cockpit started"), metrics: rig.port("metrics served")
        )
        let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
        let slow = try [(510, ports.api), (70, ports.page), (20, ports.metrics)].map { count, port in
            try SlowClients(count, port: port, from: "127.0.0.7", first: head, interval: 2)
        }
        defer { for clients in slow { clients.stop() } }
        func expectServing() throws {
            for (port, path) in [(ports.api, "/healthz"), (ports.page, "/"), (ports.metrics, "/healthz")] {
                for _ in 0..<8 {
                    let client = try Socket(connectingTo: port)
                    client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    #expect(String(decoding: client.receiveToEnd().bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
                }
            }
        }
        try expectServing()
        let late = try Socket(connectingTo: ports.api)
        late.send(head)
        #expect(
            String(decoding: late.receiveToEnd().bytes, as: UTF8.self).hasPrefix("HTTP/1.1 408 Request Timeout\r\n")
        )
        for clients in slow { #expect(Rig.eventually { clients.closedCount == clients.sockets.count }) }
        // A process that has ended closes its connections as well.
        try expectServing()
        #expect(slow.map(\.lastClosed).max() ?? 99 < 15)
    }

    @Test("Out of descriptors, a service costs next to nothing, says so once, and serves again within a second")
    func outOfDescriptors() throws {
        let rig = try HostileRig(wrapper: ["/usr/bin/env", "bash", "-c", "ulimit -n 100; exec \"$0\" \"$@\""])
        defer { rig.stop() }
        try rig.startConnector()
        // Those of the tunnel's listener, which count for nobody else.
        let sockets = try (0..<80).map { try Socket(connectingTo: rig.tunnelPort, from: "127.0.0.\(2 + $0 % 4)") }
        let more = try (0..<30).map { _ in try Socket(connectingTo: rig.proxyPort) }
        try rig.cloud.wait(for: "no file descriptors are left")
        let before = rig.cloud.processorSeconds
        Thread.sleep(forTimeInterval: 2)
        let used = rig.cloud.processorSeconds - before
        #expect(used < 0.1, "\(used) s of 2")
        #expect(rig.cloud.log.count { $0.contains("no file descriptors are left") } <= 2)
        for socket in sockets + more { socket.close() }
        let start = DispatchTime.now()
        #expect(try rig.isServing())
        #expect(Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9 < 1)
    }
}
