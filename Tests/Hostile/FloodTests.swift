import ConnectorTestSupport
import Foundation
import Testing

/// No peer holds a loop (attacks.md, "Holds a loop").
@Suite(.serialized)
struct FloodTests {
    enum Flood: String, CaseIterable {
        case windowUpdates, windowUpdatesOfStream, resetsOfClosed, unknown, padding, interimOnClosed, pings, settings,
            emptyData

        func frame(_ stream: UInt32) -> Frame {
            switch self {
            case .windowUpdates: .windowUpdate()
            case .windowUpdatesOfStream: .windowUpdate(stream)
            case .resetsOfClosed: .reset(stream)
            case .unknown: .unknown
            case .padding: .padding(stream)
            case .interimOnClosed: .response(stream, "103")
            case .pings: .ping
            case .settings: .settings()
            case .emptyData: .data(stream, [])
            }
        }

        /// A sanitizer makes each of them ten times as long, and two go where all go.
        static var tried: [Flood] { Sanitizer.isOn ? [.settings, .interimOnClosed] : allCases }

        var needsClosedStream: Bool { self == .resetsOfClosed || self == .interimOnClosed }
    }

    @Test(
        "A connector that floods loses its tunnel within a second, by name; others do not notice",
        arguments: Flood.tried
    )
    func flood(_ kind: Flood) throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let identity = try rig.enrol(HostileRig.location)
        let peer = try rig.hostile(identity)
        let idle = Meter.idle(rig)
        let client = try rig.connect()
        client.send(HostileRig.request())
        let stream = try peer.nextRequest()
        peer.send(.response(stream, isEnd: kind.needsClosedStream))
        let meter = Meter(rig)
        let seconds = peer.flood(kind.frame(stream).bytes)
        // It comes again at once, and again.
        let end = DispatchTime.now() + .milliseconds(1500)
        while DispatchTime.now() < end {
            if let again = try? rig.hostile(identity) { _ = again.flood(kind.frame(1).bytes, for: 1) }
        }
        let others = meter.stop()
        #expect(seconds ?? 99 < (Sanitizer.isOn ? 20 : 1), "\(kind): \(seconds.map { "\($0) s" } ?? "never")")
        #expect(others.isUnharmed(idle), "\(kind): \(others), idle \(idle)")
        print("flood of \(kind): closed after \(seconds ?? 99) s; others: \(others); in peace: \(idle)")
        try rig.cloud.wait(for: "tunnel closed for a flood")
        #expect(try rig.metrics().contains("connector_service_tunnels_closed_total{cause=\"flood\"} 1"))
        #expect(try Rig.eventually { try rig.auditRecords().contains("FLOOD_STOPPED") })
        #expect(Sanitizer.isOn || rig.cloud.peakMemory < 200)
    }

    @Test("After a flood the same connector waits, and is told why; another one is let in")
    func punishment() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        let identity = try rig.enrol(HostileRig.location)
        let peer = try rig.hostile(identity)
        #expect(peer.flood(Frame.ping.bytes) != nil)
        try rig.cloud.wait(for: "tunnel closed for a flood")
        #expect(throws: (any Error).self) { try rig.hostile(identity) }
        try rig.cloud.wait(for: "was closed for a flood of frames a moment ago")
        try rig.startConnector()
        #expect(try rig.isServing())
    }

    @Test(
        "Short messages on the control stream cost what they change, among as many systems as a connector may tell of"
    )
    func availabilityMessages() throws {
        let rig = try HostileRig()
        defer { rig.stop() }
        try rig.startConnector()
        let peer = try rig.hostile(try rig.enrol(HostileRig.location))
        try Self.expose(100_000, peer)
        func ask() throws -> (status: Int32, output: String) {
            try Rig.run(["status", "--cloud", "--config", "cloud.conf"], rig.folder)
        }
        #expect(try Rig.eventually { try ask().output.contains("all are here") })
        let status = try ask()
        #expect(status.status == 0 && status.output.contains("and "), "\(status.output.suffix(300))")
        #expect(status.output.split(separator: "\n").count < 1100)
        let idle = Meter.idle(rig)
        let meter = Meter(rig)
        for number in 0..<1500 {
            peer.say(#"{"availability":[{"host":"h\#(number % 100):1","availability":"reachable"}]}"#)
            peer.receive(within: 0)
        }
        // Told after all others, so they have been taken.
        peer.say(#"{"availability":[{"host":"h7:1","availability":"the last one"}]}"#)
        #expect(
            try Rig.eventually { try ask().output.contains("the last one") }
        )
        let others = meter.stop()
        #expect(others.isUnharmed(idle), "\(others), idle \(idle)")
        #expect(Sanitizer.isOn || rig.cloud.memory < 150, "\(rig.cloud.memory) MiB")
    }

    static func expose(_ count: Int, _ peer: FramePeer) throws {
        for start in stride(from: 0, to: count, by: 100) {
            let systems = (start..<(start + 100)).map {
                #"{"host":"h\#($0):1","protocol":"HTTP","type":"x","description":"","hasResources":true,"availability":"unchecked"}"#
            }
            let line = #"{"exposed":{"isFirst":\#(start == 0),"systems":[\#(systems.joined(separator: ","))]}}"# + "\n"
            for piece in stride(from: 0, to: line.utf8.count, by: 16000) {
                peer.sendData(1, Array(line.utf8.dropFirst(piece).prefix(16000)))
            }
        }
        // Told after all others, so they have been taken.
        peer.say(#"{"availability":[{"host":"h3:1","availability":"all are here"}]}"#)
    }
}
