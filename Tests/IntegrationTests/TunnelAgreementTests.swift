import ConnectorTestSupport
import Foundation
import Testing

/// A tunnel that does not come about, or ends, has one cause: in the logs of both sides, in the service's metrics, in `status`
/// of both and on the page. So has what the machine lacks.
@Suite(.serialized) struct TunnelAgreementTests {
    private static let withPage = """
        api: {listen: "127.0.0.1:0", directory: api}
        cockpit: {listen: "127.0.0.1:0"}
        """
    private static let day = 86_400

    /// What the page is drawn from.
    private static func page(_ cloud: LoggedProcess, _ folder: URL) throws -> String {
        let line = try cloud.wait(for: "cockpit started")
        let url = try #require(line.split(separator: "\"").first { $0.hasPrefix("http://") })
        return try Rig.run(URL(filePath: "/usr/bin/curl"), ["-s", "\(url)api/state"], folder).output
    }

    /// Compares what the service says of a connection that it refused.
    private static func expectRefused(_ cloud: LoggedProcess, _ folder: URL, cause: String, kind: String) throws {
        let line = try cloud.wait(for: "tunnel refused")
        #expect(line.contains("WARNING") && line.contains(cause), "\(line)")
        let status = try Rig.run(["status", "--cloud", "--socket", "cloud.sock"], folder).output
        #expect(status.contains("tunnel refused: ") && status.contains(cause), "\(status)")
        let page = try page(cloud, folder)
        #expect(page.contains("\"what\":\"tunnel refused\"") && page.contains(cause), "\(page)")
        let curl = ["-s", "--unix-socket", "cloud.sock", "http://localhost/metrics"]
        let metrics = try Rig.run(URL(filePath: "/usr/bin/curl"), curl, folder).output
        #expect(metrics.contains("connector_service_connections_refused_total{cause=\"\(kind)\"}"), "\(metrics)")
    }

    /// Compares what a connector says of a tunnel that it does not get.
    private static func expectFailure(_ connector: LoggedProcess, _ folder: URL, _ cause: String) throws {
        try connector.wait(for: cause)
        let isShown = try Rig.eventually {
            try Rig.run(["status", "--socket", "connector.sock"], folder).output.contains(cause)
        }
        #expect(isShown)
    }

    @Test(
        "A clock that is wrong is named by the side that sees it, and the other side is told",
        .enabled(if: !Sanitizer.isOn, "two libraries that want to be loaded first")
    )
    func clocks() throws {
        let rig = try Rig(cloud: Self.withPage)
        defer { rig.stop() }
        let clock = try ShiftedClock(rig.folder)
        let connector = try rig.startConnector(systems: "  []")
        try clock.move(100 * Self.day)
        try rig.restartCloud(wrapper: clock.wrapper)
        try Self.expectRefused(rig.cloud, rig.folder, cause: "certificate has expired", kind: "certificate")
        try Self.expectFailure(connector, rig.folder, "certificate expired")
        connector.stop()
        try rig.restartCloud()
        try clock.move(-3 * Self.day)
        let early = try LoggedProcess(
            ["run", "--config", "connector0.conf"],
            folder: rig.folder,
            wrapper: clock.wrapper
        )
        defer { early.stop() }
        try Self.expectFailure(early, rig.folder, "certificate is not yet valid")
        try Self.expectRefused(rig.cloud, rig.folder, cause: "refused the handshake with the alert", kind: "tls")
    }

    @Test("A revoked connector is refused in the same words everywhere, with its name, and the page says revoked")
    func revoked() throws {
        let rig = try EnrolmentRig(cloud: Self.withPage)
        defer { rig.stop() }
        try rig.writeConnector()
        #expect(try rig.enrol(try rig.token()).status == 0)
        let connector = try rig.startConnector()
        #expect(try rig.run("enrol", "revoke", "--subaccount", "test", "--config", "cloud.conf").status == 0)
        let cause = "the connector's certificate is revoked"
        try Self.expectRefused(rig.cloud, rig.folder, cause: cause, kind: "certificate")
        try Self.expectFailure(connector, rig.folder, cause)
        #expect(try rig.cloud.wait(for: "tunnel refused").contains("connector="))
        let status = try rig.run("status", "--cloud", "--socket", "cloud.sock").output
        #expect(status.contains("Revoked") && status.contains("revoked\n"), "\(status)")
        let page = try Self.page(rig.cloud, rig.folder)
        #expect(page.contains("\"state\":\"Revoked\"") && page.contains("\"isRevoked\":true"), "\(page)")
        // Not a word of it where nobody is enrolled any more: a token for a new beginning is on the page until it is used.
        _ = try rig.token()
        #expect(try Self.page(rig.cloud, rig.folder).contains("\"tokens\":[{"))
    }

    @Test("A connector that is killed, or none at all, has the same name in all views of the request that needed it")
    func killed() throws {
        let isAsked = DispatchSemaphore(value: 0)
        let silent = TestServer { socket, _ in
            _ = socket.receive(through: "\r\n\r\n")
            isAsked.signal()
            while let piece = socket.receive(), !piece.isEmpty {}
            socket.close()
        }
        defer { silent.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: Rig.system(port: silent.port))
        let client = try rig.connect()
        client.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        connector.stop(SIGKILL)
        let answer = String(decoding: client.receiveToEnd().bytes, as: UTF8.self)
        try AgreementTests.expectAgreement(
            rig,
            answer,
            "connection_terminated",
            "response-head",
            isKnownToConnector: false
        )
        let status = try rig.control("status", "--cloud", "--socket", "cloud.sock").output
        #expect(status.contains("Disconnected"), "\(status)")
        let next = try rig.curl("http://backend.test/")
        try AgreementTests.expectAgreement(rig, next, "destination_unavailable", "tunnel", isKnownToConnector: false)
    }

    @Test("Without a service the connector's log, its status and doctor say the same")
    func noService() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let connector = try rig.startConnector(systems: "  []")
        rig.cloud.stop(SIGKILL)
        try Self.expectFailure(connector, rig.folder, "connection refused")
        let doctor = try rig.control("doctor", "--config", "connector0.conf")
        #expect(doctor.status == 1 && doctor.output.contains("connection refused"), "\(doctor.output)")
    }

    @Test("A connector without descriptors says so in the answer, the logs, the metrics and the lists")
    func connectorDescriptors() throws {
        let gate = DispatchSemaphore(value: 0)
        let backend = TestServer.http { _, _ in
            gate.wait()
            return TestServer.ok("")
        }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(systems: Rig.system(port: backend.port)).stop()
        let connector = try rig.restartConnector(wrapper: ResourceTests.descriptors(80))
        let clients = try (0..<60).map { _ in try rig.connect() }
        defer { for client in clients { client.close() } }
        for client in clients {
            client.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        }
        try connector.wait(for: "and may have no more")
        for _ in clients { gate.signal() }
        let answers = clients.map { String(decoding: $0.receiveToEnd().bytes, as: UTF8.self) }
        let refused = try #require(answers.last { $0.hasPrefix("HTTP/1.1 503") })
        try AgreementTests.expectAgreement(rig, refused, "connection_limit_reached", "connect")
    }

    @Test("A service that is full says so in its log, its metrics, its status and on the page")
    func fullService() throws {
        let rig = try Rig(cloud: Self.withPage)
        defer { rig.stop() }
        try rig.restartCloud(wrapper: ResourceTests.descriptors(128))
        // From many addresses, each of which has its share of the places only.
        let clients = try (0..<200).map { try Socket(connectingTo: rig.proxyPort, from: "127.0.0.\(2 + $0 % 8)") }
        defer { for client in clients { client.close() } }
        let line = try rig.cloud.wait(for: "listener is full")
        #expect(line.contains("listener=\"proxy\"") && line.contains("places=\"80 of 80\""), "\(line)")
        let status = try rig.control("status", "--cloud", "--socket", "cloud.sock").output
        #expect(status.contains("proxy: 80 of 80, FULL: who comes now waits"), "\(status)")
        let metrics = try AgreementTests.metrics(rig, true)
        for name in ["connections", "connections_max"] {
            #expect(metrics.contains("connector_service_listener_\(name){listener=\"proxy\"} 80"), "\(name)")
        }
        let page = try Self.page(rig.cloud, rig.folder)
        #expect(page.contains("\"connections\":80,\"exhaustions\":0,\"limit\":80,\"name\":\"proxy\""), "\(page)")
    }

    @Test(
        "An audit log that cannot be written and must be has the same name in all four views",
        .enabled(if: ResourceTests.isRoot)
    )
    func fullDisk() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("") }
        defer { backend.stop() }
        let rig = try Rig()
        defer { rig.stop() }
        try rig.startConnector(
            systems: Rig.system(port: backend.port),
            extra: "audit: {directory: audit, level: all, when-full: refuse}"
        ).stop()
        let connector = try rig.restartConnector(wrapper: ResourceTests.fullDisk)
        try connector.wait(for: "audit log cannot be written")
        let refused = try rig.curl("http://backend.test/")
        try AgreementTests.expectAgreement(rig, refused, "proxy_internal_error", "request")
        #expect(try rig.control("status", "--socket", "connector.sock").output.contains("cannot be written"))
    }
}
