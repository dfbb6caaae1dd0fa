import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// What happens when descriptors, disk, names or the clock fail: each recovers by itself.
@Suite(.serialized)
struct ResourceTests {
    static let isRoot = geteuid() == 0

    /// A program that runs connectord with so many descriptors.
    static func descriptors(_ count: Int) -> [String] {
        ["/bin/sh", "-c", "ulimit -n \(count); exec \"$0\" \"$@\""]
    }

    @Test("A service with few descriptors lets clients wait, burns nothing, stays manageable, and recovers at once")
    func serviceDescriptors() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port))
        try rig.restartCloud(wrapper: Self.descriptors(128))
        try rig.cloud.wait(for: "tunnel connected")
        let clients = try (0..<200).map { _ in try rig.connect() }
        let before = rig.cloud.processorSeconds
        Thread.sleep(until: Date() + 2)
        if !Sanitizer.isOn { #expect(rig.cloud.processorSeconds - before < 0.8) }
        #expect(try rig.control("status", "--cloud", "--config", "cloud.conf").status == 0)
        for client in clients { client.close() }
        let start = Date()
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
        #expect(Date().timeIntervalSince(start) < 10)
    }

    @Test("A connector with few descriptors answers 503 for what is too much, stays manageable, and recovers at once")
    func connectorDescriptors() throws {
        let gate = DispatchSemaphore(value: 0)
        let backend = TestServer.http { head, _ in
            if head.contains("/hold") { gate.wait() }
            return TestServer.ok("fine")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port)).stop()
        let connector = try rig.restartConnector(wrapper: Self.descriptors(80))
        let clients = try (0..<60).map { _ in try rig.connect() }
        for client in clients { client.send("GET http://backend.test/hold HTTP/1.1\r\nHost: backend.test\r\n\r\n") }
        try connector.wait(for: "and may have no more")
        #expect(try rig.control("status", "--config", "connector0.conf").status == 0)
        for _ in clients { gate.signal() }
        let answers = clients.map { $0.receive { SimpleHTTP.responses($0).first.map { !$0.body.isEmpty } ?? false } }
        let statuses = answers.compactMap { SimpleHTTP.responses($0).first?.status }
        #expect(statuses.count == 60 && Set(statuses) == [200, 503], "\(statuses)")
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
    }

    /// A file system of its own for the audit log, so small that it fills.
    static let smallDisk = [
        "/usr/bin/unshare", "--mount", "sh", "-c",
        "mkdir -p audit && mount -t tmpfs -o size=64k tmpfs audit && exec \"$0\" \"$@\"",
    ]

    @Test(
        "A full disk is reported and stops traffic only where that is configured; with room again it goes on",
        .enabled(if: isRoot),
        arguments: ["continue", "refuse"]
    )
    func fullDisk(_ policy: String) throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "audit: {directory: audit, level: all, when-full: \(policy)}"
        ).stop()
        let connector = try rig.restartConnector(wrapper: Self.smallDisk)
        // The folder as the connector sees it.
        let inside = "/proc/\(connector.pid)/root\(rig.folder.path)/audit"
        let filler = "\(inside)/filler"
        _ = FileManager.default.createFile(atPath: filler, contents: nil)
        let handle = try #require(FileHandle(forWritingAtPath: filler))
        while (try? handle.write(contentsOf: Data(count: 512))) != nil {}
        try handle.close()
        _ = try rig.curl("http://backend.test/")
        try connector.wait(for: "audit log cannot be written")
        let status = try rig.control("status", "--config", "connector0.conf")
        #expect(status.output.contains("cannot be written"))
        let expected = policy == "refuse" ? "HTTP/1.1 503" : "HTTP/1.1 200"
        #expect(try rig.curl("http://backend.test/").hasPrefix(expected))
        try FileManager.default.removeItem(atPath: filler)
        try connector.wait(for: "audit log is written again")
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
        #expect(connector.stop() == 0)
    }

    /// The audit log of before on a disk that has no room left.
    static let fullDisk = [
        "/usr/bin/unshare", "--mount", "sh", "-c",
        "mv audit kept && mkdir audit && mount -t tmpfs -o size=64k tmpfs audit && cp -p kept/* audit/ "
            + "&& (cat /dev/zero > audit/filler 2>/dev/null; true) && exec \"$0\" \"$@\"",
    ]

    @Test(
        "With a full disk a connector starts all the same, and its audit log goes on when there is room",
        .enabled(if: isRoot)
    )
    func startsOnFullDisk() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "audit: {directory: audit, level: all}"
        ).stop()
        let connector = try rig.restartConnector(wrapper: Self.fullDisk)
        try connector.wait(for: "audit log cannot be written")
        #expect(try rig.control("status", "--config", "connector0.conf").output.contains("cannot be written"))
        #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
        let inside = "/proc/\(connector.pid)/root\(rig.folder.path)/audit"
        try FileManager.default.removeItem(atPath: "\(inside)/filler")
        try connector.wait(for: "audit log is written again")
        let verified = try Rig.run(["audit", "verify", inside], rig.folder)
        #expect(verified.status == 0, "\(verified.output)")
        #expect(connector.stop() == 0)
    }

    @Test("A name server that is silent holds up nobody else", .enabled(if: isRoot))
    func silentNames() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let silent = try SilentDatagramSocket()
        defer { silent.close() }
        let rig = try Rig()
        defer { rig.stop() }
        try "nameserver 127.0.0.77\n".write(
            to: rig.folder.appending(path: "resolv.conf"),
            atomically: true,
            encoding: .utf8
        )
        let named = Rig.system("named.test:80", port: 1).replacingOccurrences(
            of: "127.0.0.1:1\"",
            with: "host.example.test:80\""
        )
        try rig.startConnector(
            systems: Rig.system(port: backend.port) + named,
            extra: "times: {connect: 1s}"
        ).stop()
        try rig.restartConnector(
            wrapper: [
                "/usr/bin/unshare", "--mount", "sh", "-c",
                "mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"",
            ]
        )
        let waiting = try rig.connect()
        waiting.send("GET http://named.test/ HTTP/1.1\r\nHost: named.test\r\n\r\n")
        for _ in 0..<50 {
            let start = Date()
            #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200"))
            // A resolver that is waited for takes five seconds and more.
            #expect(Date().timeIntervalSince(start) < 4)
        }
        #expect(waiting.receive(through: "\n").hasPrefix("HTTP/1.1 502"))
    }

    @Test(
        "A clock that jumps a month ahead or back disturbs no tunnel and burns nothing",
        .enabled(if: !Sanitizer.isOn, "two libraries that want to be loaded first")
    )
    func clock() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let clock = try ShiftedClock(rig.folder)
        try rig.startConnector(systems: Rig.system(port: backend.port)).stop()
        let connector = try rig.restartConnector(wrapper: clock.wrapper)
        let mark = connector.mark
        for jump in [1_728_000, -3_456_000, 0] {
            try clock.move(jump)
            #expect(try rig.control("reload", "--config", "connector0.conf").status == 0)
            for _ in 0..<5 { #expect(try rig.curl("http://backend.test/").hasPrefix("HTTP/1.1 200")) }
            let before = connector.processorSeconds
            Thread.sleep(until: Date() + 1.5)
            #expect(connector.processorSeconds - before < 0.6)
        }
        #expect(!connector.log(after: mark).contains { $0.contains("tunnel disconnected") })
        // The log shows that it did jump: there and back.
        #expect(Set(connector.log(after: mark).map { $0.prefix(10) }).count >= 3)
    }

    @Test("The service's name is resolved again on reconnect: a new address gets the tunnel", .enabled(if: isRoot))
    func newAddress() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let hosts = rig.folder.appending(path: "hosts")
        try Data("127.0.0.1 localhost\n".utf8).write(to: hosts)
        let text = """
            subaccount: test
            proxy: {listen: "127.0.0.1:0"}
            tunnel: {listen: "127.0.0.3:\(rig.tunnelPort)", certificate: service.pem, private-key: service.key, trusted-ca: ca.pem}
            admin: {socket: cloud2.sock}
            """
        try text.write(to: rig.folder.appending(path: "cloud2.conf"), atomically: true, encoding: .utf8)
        let second = try LoggedProcess(["cloud", "--config", "cloud2.conf"], folder: rig.folder)
        defer { second.stop(SIGKILL) }
        try second.wait(for: "connectivity service started")
        try rig.startConnector(systems: "  []").stop()
        try rig.restartConnector(wrapper: LossTests.Pair.withHosts)
        try Data("127.0.0.3 localhost\n".utf8).write(to: hosts)
        rig.cloud.stop(SIGKILL)
        try second.wait(for: "tunnel connected")
    }
}

/// Takes UDP datagrams on the port of a name server and says nothing.
final class SilentDatagramSocket {
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(53).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.77")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw RigError("cannot bind port 53: \(String(cString: strerror(errno)))") }
    }

    func close() { _ = Glibc.close(descriptor) }
}
