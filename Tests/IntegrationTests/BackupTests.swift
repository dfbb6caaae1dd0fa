import ConnectorTestSupport
import Foundation
import Testing

/// docs/operations.md, "Back up and restore", done as it stands there.
@Suite(.serialized) struct BackupTests {
    @Test("A copy of the folders is the whole cloud side and the whole connector: nobody enrols again")
    func restore() throws {
        let backend = TestServer.http { _, _ in TestServer.ok("fine") }
        defer { backend.stop() }
        let rig = try EnrolmentRig(cloud: "api:\n  listen: 127.0.0.1:0\n  directory: api")
        defer { rig.stop() }
        try rig.writeConnector(systems: Rig.system("backend.test:80", port: backend.port))
        #expect(try rig.enrol(rig.token()).status == 0)
        try rig.startConnector()
        try "Name=ERP\nType=HTTP\nURL=http\\://backend.test\nProxyType=OnPremise\nAuthentication=NoAuthentication\n"
            .write(to: rig.folder.appending(path: "erp.properties"), atomically: true, encoding: .utf8)
        #expect(try rig.run("destination", "import", "erp.properties", "--config", "cloud.conf").status == 0)
        let token = try rig.run("token", "--config", "cloud.conf").output

        let tar = URL(filePath: "/usr/bin/tar")
        let saved = ["cloud.conf", "connector.conf", "authority", "api", "tls"]
        #expect(try Rig.run(tar, ["-cpf", "backup.tar"] + saved, rig.folder).status == 0)
        _ = rig.connector?.stop()
        #expect(rig.cloud.stop() == 0)
        for name in saved { try FileManager.default.removeItem(at: rig.folder.appending(path: name)) }
        #expect(try Rig.run(tar, ["-xpf", "backup.tar"], rig.folder).status == 0)

        let cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: rig.folder)
        defer { cloud.stop() }
        try cloud.wait(for: "connectivity service started")
        let connector = try LoggedProcess(["run", "--config", "connector.conf"], folder: rig.folder)
        defer { connector.stop() }
        try cloud.wait(for: "tunnel connected")
        let check = try rig.run("destination", "check", "ERP", "--config", "cloud.conf")
        #expect(check.status == 0, "\(check.output)")
        // The signing keys are the same: a token of before still counts.
        let port = try #require(try cloud.wait(for: "api started").split(separator: "\"").compactMap { Int($0) }.first)
        let answer = try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            [
                "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                "Authorization: Bearer \(token.trimmingCharacters(in: .whitespacesAndNewlines))",
                "http://127.0.0.1:\(port)/connectivity/v1/connectors",
            ],
            rig.folder
        )
        #expect(answer.output == "200")
    }
}
