import ConnectorTestSupport
import Foundation
import Testing

/// No input from a peer ends the process (attacks.md, "Kills the process").
struct KillTests {
    @Test(
        "A line on the control stream that is not JSON ends the tunnel, not the service, with requests in flight behind it"
    )
    func controlLineWithRequestInFlight() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let identity = try rig.enrol(HostileRig.location)
        for round in 0..<8 {
            let peer = try rig.hostile(identity)
            let clients = try (0..<3).map { _ in
                let client = try rig.connect()
                client.send(HostileRig.request("GET", "Connection: close\r\n"))
                return client
            }
            let streams = try clients.map { _ in try peer.nextRequest() }
            let frames =
                [Frame.data(1, Array("this is not JSON\n".utf8))]
                + streams.flatMap { [Frame.response($0), .data($0, Array("body".utf8))] }
                + [.data(1, Array("{}\n".utf8))] + streams.map { .data($0, [1], isEnd: true) }
            // All of it in one record.
            peer.send(frames.flatMap(\.bytes))
            for client in clients {
                let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
                #expect(
                    answer.hasPrefix("HTTP/1.1 502") || answer.hasPrefix("HTTP/1.1 200"),
                    "round \(round): \(answer)"
                )
            }
            #expect(try rig.isServing(), "round \(round)")
        }
        #expect(rig.cloud.log.contains { $0.contains("does not keep to the protocol of the control stream") })
    }

    @Test("Numbers that a connector names are computed with safely", arguments: [Int.max, Int.min, 0])
    func startedAt(_ startedAt: Int) throws {
        let rig = try HostileRig(cloud: "api: {listen: \"127.0.0.1:0\", directory: api}")
        defer { rig.stop() }
        let peer = try FramePeer.connector(rig.tunnelPort, try rig.enrol(HostileRig.location))
        try peer.introduce(startedAt: startedAt)
        let token = try Rig.run(["token", "--config", "cloud.conf"], rig.folder).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let answer = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            [
                "-s", "-H", "Authorization: Bearer \(token)",
                "http://localhost:\(try rig.port("api started"))/connectivity/v1/connectors",
            ],
            rig.folder
        ).output
        let expected = min(max(startedAt, 0), 253_402_300_799) * 1000
        #expect(answer.contains("\"agent_recent_start_ms\":\"\(expected)\""))
        let status = try Rig.run(["status", "--cloud", "--config", "cloud.conf"], rig.folder)
        #expect(status.status == 0, "\(status.output)")
    }
}
