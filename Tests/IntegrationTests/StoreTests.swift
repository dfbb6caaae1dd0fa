import ConnectorTestSupport
import Foundation
import Testing

/// Two services on one PostgreSQL, as processes.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isThere)) struct StoreTests {
    private static func system(_ port: Int) -> String {
        """
        {virtual-host: "backend.test:80", internal-host: "127.0.0.1:\(port)", protocol: HTTP, resources: [{path: /x, access: path-only}]}
        """
    }

    @Test
    func
        `Both know one authority; what one revokes ends at the other; without the store requests go on and changes do not`()
        throws
    {
        let pair = try StoreRig()
        defer { pair.stop() }
        let empty = try pair.run("cloud", "--config", "one.conf")
        #expect(empty.status != 0 && empty.output.contains("connectord store migrate"), "\(empty.output)")
        #expect(try pair.run("store", "check", "--config", "one.conf").status == 2)
        #expect(try pair.run("store", "migrate", "--config", "one.conf").output.contains("from version 0 to "))
        #expect(try pair.run("store", "migrate", "--config", "two.conf").output.contains("nothing to do"))
        #expect(try pair.run("store", "check", "--config", "one.conf").status == 0)
        let backend = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { backend.stop() }
        try pair.startServices()
        for name in ["one", "two"] {
            try pair.writeConnector("c-\(name)", to: name, systems: Self.system(backend.port))
        }
        try pair.enrol("c-one", at: "one")
        for name in ["one", "two"] { try pair.startConnector("c-\(name)", at: name) }
        #expect(try pair.curl("one") == "inside" && pair.curl("two") == "inside")
        _ = try pair.token("two")
        // Away, as by a crash.
        try pair.database.halt()
        #expect(try Rig.eventually { try pair.status("one").contains("AWAY") && pair.status("two").contains("AWAY") })
        #expect(try pair.curl("one") == "inside" && pair.curl("two") == "inside")
        let refused = try pair.run("enrol", "create", "--config", "one.conf", "--subaccount", "test")
        #expect(refused.status != 0 && refused.output.contains("connection"), "\(refused.output)")
        let revoking = try pair.run("enrol", "revoke", "--config", "one.conf", "--subaccount", "test")
        #expect(revoking.status != 0, "\(revoking.output)")
        #expect(try pair.curl("two") == "inside", "nothing was revoked by half")
        try pair.database.start()
        #expect(try Rig.eventually { try !pair.status("one").contains("AWAY") && !pair.status("two").contains("AWAY") })
        _ = try pair.token("one")
        // What one revokes is over at the other.
        let began = ContinuousClock.now
        #expect(try pair.run("enrol", "revoke", "--config", "one.conf", "--subaccount", "test").status == 0)
        #expect(try Rig.eventually { try pair.status("two").contains("Revoked") })
        #expect(ContinuousClock.now - began < .seconds(2))
        try pair.services["two"]?.wait(for: "revoked")
        #expect(
            try pair.curl("two").contains("no SAP Cloud Connector")
                || pair.curl("two").contains("There is no SAP Cloud Connector")
        )
    }

    @Test func `What is wrong with the section is said at its place`() throws {
        let pair = try StoreRig()
        defer { pair.stop() }
        try pair.write("short.key", "short\n")
        let good = try String(contentsOf: pair.folder.appending(path: "one.conf"), encoding: .utf8)
        for (old, new, text) in [
            ("postgresql://", "mysql://", "store.url: must begin with postgresql://"),
            ("connector@", "connector:hunter2@", "has a password in it; put it into a file"),
            ("connector@%2F", "connector@db.example.com%2F", "needs sslmode=verify-full"),
            (
                "/postgres\"", "/postgres?host=db.example.com&sslmode=verify-full&sslmode=disable\"",
                "needs sslmode=verify-full"
            ),
            ("store.key", "short.key", "has less than 32 characters"),
            ("store.key", "none.key", "none.key cannot be read"),
            (", key-file: store.key", "", "store.key-file: is missing"),
            ("enrolment: {", "enrolment: {authority: a, ", "has no meaning beside a store"),
            ("enrolment: {service-names: [localhost]}", "", "needs the section \"enrolment\""),
        ] {
            try pair.write("wrong.conf", good.replacing(old, with: new))
            let output = try pair.run("check-config", "wrong.conf", "--cloud").output
            #expect(output.contains(text), "\(new): \(output)")
            #expect(!output.contains("hunter2"))
        }
    }
}
