import ConnectorTestSupport
import Foundation
import Testing

/// Pairing, renewal and revocation with the built program.
@Suite(.serialized)
struct EnrolmentTests {
    @Test("A token makes key, certificate and trust anchor with the right modes, once")
    func enrolment() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector()
        let token = try rig.token()
        let first = try rig.enrol(token)
        #expect(first.status == 0, "\(first.output)")
        func mode(_ name: String) throws -> Int {
            let path = rig.folder.appending(path: "tls/\(name)").path
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return try #require(attributes[.posixPermissions] as? NSNumber).intValue
        }
        #expect(try mode("connector.key") == 0o600)
        #expect(try mode("connector.pem") == 0o644)
        try rig.startConnector()
        let again = try rig.enrol(token)
        #expect(again.status == 1 && again.output.contains("used before"))
        try rig.cloud.wait(for: "enrolment refused")
        let verified = try rig.run("audit", "verify", "cloud-audit")
        #expect(verified.status == 0 && verified.output.contains("whole"))
    }

    @Test("A token that is mistyped, expired or for another connector is refused with what to do")
    func refusals() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector(locationID: "plant 4")
        #expect(try rig.enrol("cce1_garbage").status == 64)
        let other = try rig.enrol(try rig.token())
        #expect(other.status == 64 && other.output.contains("edit subaccount and location-id"), "\(other.output)")
        let short = try rig.token("--subaccount", "test", "--location-id", "plant 4", "--valid", "1s")
        Thread.sleep(until: Date() + 2.1)
        let late = try rig.enrol(short)
        #expect(late.status == 64 && late.output.contains("expired"), "\(late.output)")
        let good = try rig.enrol(try rig.token("--subaccount", "test", "--location-id", "plant 4"))
        #expect(good.status == 0, "\(good.output)")
    }

    @Test("A service that is not the one in the token gets nothing, not even the token")
    func wrongService() throws {
        let (rig, other) = (try EnrolmentRig(), try EnrolmentRig())
        defer {
            rig.stop()
            other.stop()
        }
        try rig.writeConnector()
        let token = try rig.token()
        // The name leads elsewhere now.
        let file = rig.folder.appending(path: "connector.conf")
        let port = other.tunnelPort
        let proxy = try ConnectProxy { _ in "127.0.0.1:\(port)" }
        defer { proxy.stop() }
        let text = try String(contentsOf: file, encoding: .utf8)
            .replacingOccurrences(of: "tunnel:\n", with: "tunnel:\n  http-proxy: 127.0.0.1:\(proxy.port)\n")
        try text.write(to: file, atomically: true, encoding: .utf8)
        let result = try rig.enrol(token)
        #expect(result.status == 1 && result.output.contains("certificate"), "\(result.output)")
        #expect(!other.cloud.log.contains { $0.contains("enrolment refused") })
    }

    @Test(
        "A certificate is renewed by itself before its end, and not one request is lost",
        .enabled(if: !Sanitizer.isOn, "the certificates live for seconds")
    )
    func renewal() throws {
        let backend = Load.backend()
        defer { backend.stop() }
        let rig = try EnrolmentRig(lifetime: "15s")
        defer { rig.stop() }
        try rig.writeConnector(systems: Rig.system(port: backend.port))
        #expect(try rig.enrol(try rig.token()).status == 0)
        let connector = try rig.startConnector()
        let load = Load(ports: [rig.proxyPort], connections: 4)
        try connector.wait(for: "tunnels replaced")
        let result = load.stop()
        print("renewal of a certificate: \(result)")
        #expect(result.lost == 0 && result.refused == 0, "\(result)")
        // More than one where the machine is slow: they live for seconds.
        #expect(connector.log.contains { $0.contains("certificate renewed") })
    }

    @Test(
        "A certificate that has run out ends the tunnel; after a new enrolment the connector is back by itself",
        .enabled(if: !Sanitizer.isOn, "the certificates live for seconds")
    )
    func expiry() throws {
        let rig = try EnrolmentRig(lifetime: "3s")
        defer { rig.stop() }
        try rig.writeConnector(tunnel: "  renew: false")
        #expect(try rig.enrol(try rig.token()).status == 0)
        let connector = try rig.startConnector()
        try connector.wait(for: "the service says: the connector's certificate has expired")
        try connector.wait(for: "the tunnel's certificate has ended")
        let doctor = try rig.run("doctor", "--config", "connector.conf")
        #expect(doctor.status == 1 && doctor.output.contains("the certificate ended on"), "\(doctor.output)")
        let mark = rig.cloud.mark
        #expect(try rig.enrol(try rig.token()).status == 0)
        try rig.cloud.wait(for: "tunnel connected", after: mark)
    }

    @Test("Revocation cuts tunnels and requests at once, and lets nothing in any more")
    func revocation() throws {
        let isAsked = DispatchSemaphore(value: 0)
        let backend = TestServer { socket, _ in
            isAsked.signal()
            _ = socket.receiveToEnd()
        }
        defer { backend.stop() }
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector(systems: Rig.system(port: backend.port))
        #expect(try rig.enrol(try rig.token()).status == 0)
        let connector = try rig.startConnector()
        let socket = try Socket(connectingTo: rig.proxyPort)
        socket.send("GET http://backend.test/ HTTP/1.1\r\nHost: backend.test\r\n\r\n")
        #expect(isAsked.wait(timeout: .now() + .seconds(Socket.timeout)) == .success)
        let result = try rig.run("enrol", "revoke", "--subaccount", "test", "--config", "cloud.conf")
        #expect(
            result.status == 0 && result.output.contains("1 certificate revoked, 2 tunnels cut"),
            "\(result.output)"
        )
        #expect(socket.receive(through: "processed.\n").hasPrefix("HTTP/1.1 502"))
        try rig.cloud.wait(for: "tunnel refused")
        try connector.wait(for: "the service says: the connector's certificate is revoked")
        #expect(try rig.run("enrol", "revoke", "--subaccount", "test", "--config", "cloud.conf").status == 1)
        let doctor = try rig.run("doctor", "--config", "connector.conf")
        #expect(doctor.status == 1 && doctor.output.contains("is revoked"), "\(doctor.output)")
        // A new token is a new beginning, without a restart or a reload.
        let mark = rig.cloud.mark
        #expect(try rig.enrol(try rig.token()).status == 0)
        try rig.cloud.wait(for: "tunnel connected", after: mark)
    }

    @Test("A service that is started again has the authority it had: its connectors come back, and can enrol")
    func restart() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector()
        #expect(try rig.enrol(try rig.token()).status == 0)
        try rig.startConnector()
        for _ in 0..<2 {
            try rig.restartCloud()
            try rig.cloud.wait(for: "tunnel connected")
        }
        #expect(try rig.enrol(try rig.token()).status == 0)
    }

    @Test("A file that names another connector than its certificate is refused at start and at reload")
    func mismatch() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        try rig.writeConnector()
        let early = try rig.run("run", "--config", "connector.conf")
        #expect(early.status == 64 && early.output.contains("is this connector enrolled?"), "\(early.output)")
        #expect(try rig.enrol(try rig.token()).status == 0)
        try rig.startConnector()
        try rig.writeConnector(subaccount: "other")
        let reload = try rig.run("reload", "--config", "connector.conf")
        #expect(reload.status == 64 && reload.output.contains("is for subaccount \"test\""), "\(reload.output)")
        #expect(try rig.run("run", "--config", "connector.conf").status == 64)
    }
}
