import ConnectorTestSupport
import Foundation
import Testing

/// What has been used is given back.
@Suite(.serialized)
struct SoakTests {
    /// A service and a connector at rest: pooled connections gone, old tunnels closed.
    struct Rest: CustomStringConvertible {
        var descriptors: (cloud: Int, connector: Int)
        /// KiB.
        var memory: (cloud: Int, connector: Int)

        init(_ rig: Rig, _ connector: LoggedProcess) throws {
            descriptors = (.max, .max)
            memory = (.max, .max)
            for _ in 0..<4 {
                Thread.sleep(until: Date() + 1.5)
                descriptors.cloud = min(descriptors.cloud, rig.cloud.openDescriptors)
                descriptors.connector = min(descriptors.connector, connector.openDescriptors)
                // What broken transfers held is free now; a reload gives it back.
                #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
                #expect(try rig.control("reload", "--cloud", "--config", "cloud.conf").status == 0)
                memory.cloud = min(memory.cloud, rig.cloud.residentKiB)
                memory.connector = min(memory.connector, connector.residentKiB)
            }
        }

        var description: String {
            "service \(descriptors.cloud) descriptors, \(memory.cloud) KiB; "
                + "connector \(descriptors.connector) descriptors, \(memory.connector) KiB"
        }
    }

    /// Twenty requests on connections of their own, seven of them for 20 MiB and broken off, a rotation of the tunnels and a reload of both sides.
    static func round(_ rig: Rig) throws {
        let sockets = try (0..<20).map { _ in try rig.connect() }
        for (index, socket) in sockets.enumerated() {
            let path = index % 3 == 0 ? 20 : 0
            socket.send("GET http://backend.test/\(path) HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        }
        for (index, socket) in sockets.enumerated() {
            if index % 3 != 0 { #expect(socket.receive(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200")) }
            index % 2 == 0 ? socket.reset() : socket.close()
        }
        #expect(try rig.control("rotate", "--config", "connector0.conf").status == 0)
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        #expect(try rig.control("reload", "--cloud", "--config", "cloud.conf").status == 0)
    }

    @Test("Many reconnects, reloads and broken transfers leave memory and descriptors as they were")
    func soak() throws {
        let seconds = ProcessInfo.processInfo.environment["CONNECTOR_SOAK_SECONDS"].flatMap { Double($0) } ?? 12
        let backend = FaultTests.transferServer()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "times: {pool-idle: 1s}",
            connections: 2
        )
        /// - Returns: how many.
        func rounds(_ seconds: Double) throws -> Int {
            var count = 0
            let end = Date() + seconds
            while Date() < end {
                try Self.round(rig)
                count += 1
            }
            return count
        }
        // What is made once and kept is not growth: code that runs for the first time, and the reserve of each thread's
        // allocator, which is full after some hundred rounds.
        let warmUp = try rounds(max(3, seconds / 5))
        let before = try Rest(rig, connector)
        let count = try rounds(seconds)
        let after = try Rest(rig, connector)
        print(
            "soak of \(Int(seconds)) s: \(warmUp) rounds of 20 transfers, a rotation and two reloads, then \(count) more\n"
                + "before: \(before)\nafter: \(after)"
        )
        let isBack = Rig.eventually {
            rig.cloud.openDescriptors <= before.descriptors.cloud + 1
                && connector.openDescriptors <= before.descriptors.connector + 1
        }
        #expect(isBack)
        if !Sanitizer.isOn {
            #expect(after.memory.cloud < before.memory.cloud + 6144)
            #expect(after.memory.connector < before.memory.connector + 6144)
        }
    }

    @Test(
        "A large file is taken at once, and what it took is given back when it is gone",
        .enabled(if: !Sanitizer.isOn)
    )
    func largeFile() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let small = Rig.system(port: 1, "{path: /a, access: path-and-sub-paths}")
        let connector = try rig.startConnector(systems: small)
        let before = connector.residentKiB
        let file = rig.folder.appending(path: "connector0.conf")
        let text = try String(contentsOf: file, encoding: .utf8)
        let many = (0..<30_000).map {
            Rig.system("host\($0).test:80", port: 1, "{path: /a, access: path-and-sub-paths}")
        }.joined()
        try Data(text.replacingOccurrences(of: small, with: many).utf8).write(to: file)
        let start = Date()
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        let took = Date().timeIntervalSince(start)
        let large = connector.residentKiB
        try Data(text.utf8).write(to: file)
        #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
        let after = connector.residentKiB
        print("30,000 systems: reloaded in \(took) s; \(before) KiB before, \(large) with them, \(after) without")
        #expect(took < 15)
        #expect(after - before < (large - before) / 2)
    }
}
