import ConnectorTestSupport
import Foundation
import Synchronization
import Testing

/// A service that a connector has dialled and that means harm (attacks.md, role HS).
@Suite(.serialized)
struct HostileServiceTests {
    /// A connector that has dialled a service which is the test, and the test's end of the tunnel.
    private final class Stage {
        let folder: URL
        let connector: LoggedProcess
        let backend: TestServer
        private let listener: TestServer
        private let arrival = DispatchSemaphore(value: 0)

        init(systems: (Int) -> String) throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "connectord-hs-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Rig.run(["certificates", "--directory", ".", "--subaccount", "test"], folder)
            backend = Load.backend()
            let (box, arrival) = (Box(), arrival)
            listener = TestServer { socket, _ in
                box.sockets.withLock { $0.append(socket) }
                arrival.signal()
            }
            self.box = box
            let text = """
                subaccount: test
                tunnel:
                  service: localhost:\(listener.port)
                  connections: 1
                  certificate: connector.pem
                  private-key: connector.key
                  trusted-ca: ca.pem
                check: {interval: "off"}
                admin: {socket: connector.sock}
                audit: {directory: audit}
                systems:
                \(systems(backend.port))
                """
            try text.write(to: folder.appending(path: "connector.conf"), atomically: true, encoding: .utf8)
            connector = try LoggedProcess(["run", "--config", "connector.conf"], folder: folder)
        }

        private final class Box: Sendable { let sockets = Mutex<[Socket]>([]) }
        private let box: Box

        /// The next tunnel that the connector dials.
        func tunnel() throws -> FramePeer {
            guard arrival.wait(timeout: .now() + .seconds(Socket.timeout)) == .success else {
                throw RigError("no dial")
            }
            let socket = box.sockets.withLock { $0.removeFirst() }
            let peer = try FramePeer.service(socket, folder)
            try peer.begin()
            return peer
        }

        func stop() {
            connector.stop(SIGKILL)
            listener.stop()
            backend.stop()
            try? FileManager.default.removeItem(at: folder)
        }
    }

    @Test("Requests that are opened and reset end the tunnel soon, and open few connections", arguments: [true, false])
    func rapidReset(_ isHTTP: Bool) throws {
        let stage = try Stage { port in
            isHTTP
                ? Rig.system(port: port)
                : "  - {virtual-host: \"backend.test:80\", internal-host: \"127.0.0.1:\(port)\", protocol: TCP}"
        }
        defer { stage.stop() }
        let peer = try stage.tunnel()
        let before = stage.connector.openDescriptors
        let most = Mutex(before)
        let isOver = Atomic<Bool>(false)
        let watcher = DispatchGroup()
        watcher.enter()
        Thread.detachNewThread { [connector = stage.connector] in
            while !isOver.load(ordering: .relaxed) {
                let now = connector.openDescriptors
                most.withLock { $0 = max($0, now) }
            }
            watcher.leave()
        }
        var stream: UInt32 = 1
        while stream < 60_000 {
            var bytes: [UInt8] = []
            for _ in 0..<100 {
                bytes += Frame.request(stream, "backend.test:80", path: isHTTP ? "/" : nil).bytes
                bytes += Frame.reset(stream).bytes
                stream += 2
            }
            let isOpen = peer.send(bytes)
            peer.receive(within: 0)
            if !isOpen || peer.isClosed { break }
        }
        try stage.connector.wait(for: "tunnel closed for a flood")
        isOver.store(true, ordering: .relaxed)
        watcher.wait()
        // Far fewer than there were requests.
        #expect(stage.backend.connectionCount < 3000, "\(stage.backend.connectionCount) connections")
        #expect(most.withLock { $0 } < before + 300, "\(most.withLock { $0 }) descriptors of \(before)")
        // It dials again, and works.
        let next = try stage.tunnel()
        next.send(.request(1, "backend.test:80", path: isHTTP ? "/" : nil, isEnd: isHTTP))
        #expect(next.next { $0.type == Frame.Kind.headers && $0.stream == 1 } != nil)
    }

    @Test(
        "Frames that serve no request end the tunnel, and are named",
        arguments: [Frame.ping, .windowUpdate(), .unknown, .settings()]
    )
    func floods(_ frame: Frame) throws {
        let stage = try Stage { Rig.system(port: $0) }
        defer { stage.stop() }
        let peer = try stage.tunnel()
        let seconds = peer.flood(frame.bytes)
        #expect(seconds ?? 99 < 1, "\(seconds.map { "\($0)" } ?? "never")")
        try stage.connector.wait(for: "tunnel closed for a flood")
        #expect(Sanitizer.isOn || stage.connector.peakMemory < 200)
    }
}
