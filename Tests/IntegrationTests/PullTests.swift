import ConnectorTestSupport
import Foundation
import Testing

/// A connector's file, fetched by another connector of the same identity.
@Suite(.serialized) struct PullTests {
    /// Of a second connector in the folder of the rig.
    private static func second(_ rig: EnrolmentRig, location: String = "") -> String {
        """
        # the second one
        subaccount: test
        location-id: "\(location)"
        tunnel: {service: "localhost:\(rig.tunnelPort)", certificate: tls/connector.pem, private-key: tls/connector.key, trusted-ca: tls/service-ca.pem}
        admin: {socket: second.sock, listen: "off"}   # its own
        audit: {directory: second-audit}
        systems: []

        """
    }

    /// Starts the connector of the rig, whose file others may fetch.
    ///
    /// - Returns: the connector, and the port at which it gives it.
    private static func startGiver(_ rig: EnrolmentRig, systems: String = "  []") throws -> (LoggedProcess, Int) {
        try rig.writeConnector(systems: systems)
        let path = rig.folder.appending(path: "connector.conf")
        try String(contentsOf: path, encoding: .utf8)
            .replacing("admin: {socket: c", with: "admin: {replication: \"127.0.0.1:0\", socket: c")
            .write(to: path, atomically: true, encoding: .utf8)
        #expect(try rig.enrol(rig.token()).status == 0)
        let connector = try rig.startConnector()
        let line = try connector.wait(for: "replication served")
        return (connector, try #require(line.split(separator: "\"").compactMap { Int($0) }.last))
    }

    private static func audited(_ folder: URL, _ text: String) -> Bool {
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.contains { (try? String(contentsOf: $0, encoding: .utf8).contains(text)) ?? false }
    }

    @Test func `One takes the other's file as a whole, keeps what is its own, and both write it down`() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        let (_, port) = try Self.startGiver(
            rig,
            systems: "  - {virtual-host: \"a.test:80\", internal-host: \"127.0.0.1:1\", protocol: HTTP}  # theirs"
        )
        let path = rig.folder.appending(path: "connector.conf")
        let text = try String(contentsOf: path, encoding: .utf8)
        let second = rig.folder.appending(path: "second.conf")
        try Self.second(rig).write(to: second, atomically: true, encoding: .utf8)
        let running = try LoggedProcess(["run", "--config", "second.conf"], folder: rig.folder)
        defer { running.stop(SIGKILL) }
        #expect(Rig.eventually { (try? rig.run("status", "--socket", "second.sock"))?.status == 0 })
        let rehearsed = try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf", "--dry-run")
        #expect(rehearsed.status == 0 && rehearsed.output.contains("not changed: --dry-run"), "\(rehearsed.output)")
        let pulled = try rig.run("config", "pull", "localhost:\(port)", "--config", "second.conf")
        #expect(pulled.status == 0 && pulled.output.contains("changed and in force"), "\(pulled.output)")
        let now = try String(contentsOf: second, encoding: .utf8)
        #expect(now.contains("a.test:80") && now.contains("# theirs"), "\(now)")
        #expect(now.contains("second.sock") && now.contains("second-audit") && !now.contains("replication"), "\(now)")
        #expect(try rig.run("status", "--socket", "second.sock").output.contains("a.test:80"))
        let again = try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf")
        #expect(again.status == 0 && again.output.contains("nothing to change"), "\(again.output)")
        #expect(Rig.eventually { Self.audited(rig.folder.appending(path: "audit"), "CONFIGURATION_GIVEN") })
        #expect(Rig.eventually { Self.audited(rig.folder.appending(path: "second-audit"), "config pull localhost") })
        // Files are not fetched: one that is not here changes nothing.
        try (text + "\nbackend-trust: {certificates: [there/alone.pem]}\n")
            .write(to: path, atomically: true, encoding: .utf8)
        let missing = try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf")
        #expect(missing.status != 0 && missing.output.contains("there/alone.pem"), "\(missing.output)")
        #expect(try String(contentsOf: second, encoding: .utf8) == now)
        // Nor does the other's own certificate matter.
        try text.replacing("tls/connector", with: "elsewhere/their").write(to: path, atomically: true, encoding: .utf8)
        #expect(try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf").status == 0)
        #expect(try String(contentsOf: second, encoding: .utf8).contains("tls/connector.pem"))
        // What could not be used here changes nothing.
        try text.replacing("protocol: HTTP}", with: "protocol: HTTP, resources: [{path: /x, access: path-onyl}]}")
            .write(to: path, atomically: true, encoding: .utf8)
        let refused = try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf")
        #expect(refused.status == 64 && refused.output.contains("did you mean path-only"), "\(refused.output)")
        #expect(try String(contentsOf: second, encoding: .utf8) == now)
    }

    @Test func `A certificate that was revoked gets nothing, and nobody does while nobody can say whether he was`()
        throws
    {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        let (first, port) = try Self.startGiver(rig)
        try Self.second(rig).replacing("tls/connector", with: "tls/second")
            .write(to: rig.folder.appending(path: "second.conf"), atomically: true, encoding: .utf8)
        func enrol(_ file: String) throws {
            let enrolled = try rig.run("enrol", rig.token(), "--config", file)
            #expect(enrolled.status == 0, "\(enrolled.output)")
        }
        func pull() throws -> (status: Int32, output: String) {
            try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "second.conf", "--dry-run")
        }
        try enrol("second.conf")
        #expect(try pull().status == 0)
        // Of the identity as a whole; the giver gets a new one.
        #expect(try rig.run("enrol", "revoke", "--config", "cloud.conf", "--subaccount", "test").status == 0)
        let unknown = "nobody can say whether the certificate still counts"
        #expect(Rig.eventually { (try? pull().output.contains(unknown)) ?? false })
        try first.wait(for: "replication refused")
        try enrol("connector.conf")
        #expect(try rig.run("reload", "--socket", "connector.sock").status == 0)
        #expect(Rig.eventually { (try? pull().output.contains("the certificate is revoked")) ?? false })
        #expect(Rig.eventually { Self.audited(rig.folder.appending(path: "audit"), "the certificate is revoked") })
        try enrol("second.conf")
        #expect(try pull().status == 0)
    }

    @Test func `Only a connector of the same identity gets it, and only from one`() throws {
        let rig = try EnrolmentRig()
        defer { rig.stop() }
        let (first, port) = try Self.startGiver(rig)
        // One of another location ID, of the same authority.
        try Self.second(rig, location: "other").replacing("tls/connector", with: "tls/other")
            .write(to: rig.folder.appending(path: "other.conf"), atomically: true, encoding: .utf8)
        let enrolled = try rig.run(
            "enrol",
            rig.token("--subaccount", "test", "--location-id", "other"),
            "--config",
            "other.conf"
        )
        #expect(enrolled.status == 0, "\(enrolled.output)")
        let refused = try rig.run("config", "pull", "127.0.0.1:\(port)", "--config", "other.conf")
        #expect(refused.status == 1 && refused.output.contains("it is another connector"), "\(refused.output)")
        // Without a certificate, and with that of another: not a byte of the file.
        let curl = URL(filePath: "/usr/bin/curl")
        let url = "https://127.0.0.1:\(port)/configuration"
        #expect(try Rig.run(curl, ["-sk", "-m", "10", url], rig.folder).status != 0)
        let other = ["-sk", "-m", "10", "--cert", "tls/other.pem", "--key", "tls/other.key", url]
        let answer = try Rig.run(curl, other, rig.folder)
        #expect(answer.status != 0 && !answer.output.contains("subaccount"), "\(answer.output)")
        try first.wait(for: "replication refused")
        let right = ["-sk", "-m", "10", "--cert", "tls/connector.pem", "--key", "tls/connector.key", url]
        #expect(try Rig.run(curl, right, rig.folder).output.contains("subaccount: test"))
        // The service shows no connector's certificate.
        let service = try rig.run("config", "pull", "127.0.0.1:\(rig.tunnelPort)", "--config", "connector.conf")
        #expect(service.status == 1 && !service.output.contains("nothing to change"), "\(service.output)")
    }
}
