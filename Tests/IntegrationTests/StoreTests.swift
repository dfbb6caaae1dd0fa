import ConnectorTestSupport
import Foundation
import Testing

/// Two services on one PostgreSQL, as processes.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isThere)) struct StoreTests {
    /// What bindings have under `clientsecret`.
    private static func secrets(_ environment: String) -> Set<String> {
        let parts = environment.split(separator: "\"").map { String($0) }
        return Set(parts.indices.dropLast(2).filter { parts[$0] == "clientsecret" }.map { parts[$0 + 2] })
    }

    /// By which a token was signed.
    private static func key(of token: String) -> String {
        var head = token.prefix { $0 != "." }.replacing("-", with: "+").replacing("_", with: "/")
        head += String(repeating: "=", count: (4 - head.count % 4) % 4)
        let text = String(decoding: Data(base64Encoded: String(head)) ?? Data(), as: UTF8.self)
        return text.split(separator: "\"").first { $0.hasPrefix("key-") }.map { String($0) } ?? ""
    }

    @Test func `One user makes the tables and gives another one the rights of daily use; check says what is missing`()
        throws
    {
        let rig = try StoreRig(["one"])
        defer { rig.stop() }
        let owner = try rig.database.url()
        try rig.database.execute("CREATE ROLE \"daily use\" LOGIN")
        try rig.rewrite("one.conf") { $0.replacing("//connector@", with: "//daily%20use@") }
        let alone = try rig.run("store", "migrate", "--config", "one.conf")
        #expect(alone.status == 1 && alone.output.contains("--url"), "\(alone.output)")
        let empty = try rig.run("store", "check", "--config", "one.conf")
        #expect(empty.status == 2 && empty.output.contains("run connectord store migrate"), "\(empty.output)")
        let made = try rig.run("store", "migrate", "--config", "one.conf", "--url", owner)
        #expect(made.status == 0 && made.output.contains("from version 0 to "), "\(made.output)")
        #expect(made.output.contains("daily use has the rights of daily use"), "\(made.output)")
        #expect(try rig.run("store", "check", "--config", "one.conf").status == 0)
        try rig.startService("one")
        _ = try rig.token("one")
        // Another key than the one that is in use.
        try rig.write("store.key", String(repeating: "x", count: 40) + "\n")
        let key = try rig.run("store", "check", "--config", "one.conf")
        #expect(key.status == 1 && key.output.contains("store.key-file is not the one"), "\(key.output)")
        #expect(key.output.contains("everybody on this machine may open store.key"), "\(key.output)")
        try rig.database.execute("REVOKE INSERT ON tunnel FROM \"daily use\"")
        let right = try rig.run("store", "check", "--config", "one.conf")
        #expect(right.status == 2 && right.output.contains("its user may not INSERT ON tunnel"), "\(right.output)")
        #expect(try rig.run("store", "migrate", "--config", "one.conf", "--url", owner).status == 0)
        #expect(!(try rig.run("store", "check", "--config", "one.conf").output.contains("may not")))
    }

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

    @Test
    func
        `Services share clients, keys of tokens and destinations; what one changes is in force at the other within two seconds`()
        throws
    {
        let pair = try StoreRig(cloud: "api: {listen: \"127.0.0.1:0\"}")
        defer { pair.stop() }
        try pair.migrate()
        try pair.startServices()
        let api = try pair.names.map { name in
            let line = try #require(pair.services[name]).wait(for: "api started")
            return line.split(separator: "\"").compactMap { Int($0) }[0]
        }
        func token(_ name: String) throws -> String {
            try pair.run("token", "--service", "destination", "--config", "\(name).conf").output.trimmingCharacters(
                in: .whitespacesAndNewlines
            )
        }
        /// - Returns: the body, and the status behind it.
        func ask(_ place: Int, _ path: String, _ token: String, _ more: String...) throws -> String {
            try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                [
                    "-s", "-w", " %{http_code}", "-H", "Authorization: Bearer \(token)", "-H",
                    "Content-Type: application/json",
                ] + more
                    + ["http://127.0.0.1:\(api[place])/destination-configuration/v1/\(path)"],
                pair.folder
            ).output
        }
        let secrets = try pair.names.map { Self.secrets(try pair.run("env", "--config", "\($0).conf").output) }
        #expect(secrets[0] == secrets[1] && secrets[0].count > 2)
        let first = try token("one")
        #expect(
            try ask(
                0,
                "subaccountDestinations",
                first,
                "-d",
                #"{"Name":"D","Type":"HTTP","URL":"http://a:1","Password":"p"}"#
            ).hasSuffix("201")
        )
        let began = ContinuousClock.now
        #expect(try Rig.eventually { try ask(1, "subaccountDestinations/D", first).contains("http://a:1") })
        #expect(ContinuousClock.now - began < .seconds(2))
        #expect(try ask(1, "subaccountDestinations/D", first, "-X", "DELETE").hasSuffix("200"))
        #expect(try Rig.eventually { try ask(0, "subaccountDestinations/D", first).hasSuffix("404") })
        // A key that one makes signs at both.
        #expect(try pair.run("token", "rotate-keys", "--config", "one.conf").status == 0)
        #expect(
            try Rig.eventually {
                let key = Self.key(of: try token("two"))
                return try Self.key(of: token("one")) == key && Self.key(of: first) != key
            }
        )
        #expect(try ask(0, "subaccountDestinations", token("two")).hasSuffix("200"))
        #expect(try ask(1, "subaccountDestinations", first).hasSuffix("200"), "what the old key has signed counts on")
        // Without the database what is there is served, and no change is lost in silence.
        #expect(
            try ask(0, "subaccountDestinations", first, "-d", #"{"Name":"E","Type":"HTTP","URL":"http://a:1"}"#)
                .hasSuffix("201")
        )
        try pair.database.halt()
        #expect(try ask(0, "subaccountDestinations/E", first).contains("http://a:1"))
        #expect(
            try ask(0, "subaccountDestinations", first, "-d", #"{"Name":"F","Type":"HTTP","URL":"http://a:1"}"#)
                .hasSuffix("500")
        )
        try pair.database.start()
        #expect(
            try Rig.eventually {
                try ask(1, "subaccountDestinations", first, "-d", #"{"Name":"F","Type":"HTTP","URL":"http://a:1"}"#)
                    .hasSuffix("201")
            }
        )
    }

    @Test
    func `Everything goes from files to the database and back, and nothing that is there is overwritten by another`()
        throws
    {
        let pair = try StoreRig(cloud: "api: {listen: \"127.0.0.1:0\"}")
        defer { pair.stop() }
        try pair.migrate()
        try pair.write(
            "files.conf",
            """
            subaccount: test
            proxy: {listen: "127.0.0.1:0"}
            tunnel: {listen: "127.0.0.1:0"}
            api: {listen: "127.0.0.1:0", directory: api}
            enrolment: {authority: authority, service-names: [localhost]}
            admin: {socket: files.sock}
            """
        )
        let files = try LoggedProcess(["cloud", "--config", "files.conf"], folder: pair.folder)
        try files.wait(for: "connectivity service started")
        try pair.write("d.json", #"{"Name":"D","Type":"HTTP","URL":"http://a:1","Password":"p"}"#)
        #expect(try pair.run("destination", "import", "d.json", "--config", "files.conf").status == 0)
        #expect(try pair.run("enrol", "create", "--config", "files.conf", "--subaccount", "test").status == 0)
        let before = Self.secrets(try pair.run("env", "--config", "files.conf").output)
        #expect(files.stop() == 0)
        let copied = try pair.run("store", "copy", "--config", "one.conf", "--authority", "authority", "--api", "api")
        #expect(
            copied.status == 0 && copied.output.contains("1 token, 1 configuration, keys and clients"),
            "\(copied.output)"
        )
        let again = try pair.run("store", "copy", "--config", "one.conf", "--authority", "authority", "--api", "api")
        #expect(again.status == 0, "\(again.output)")
        try pair.startServices()
        #expect(try Self.secrets(pair.run("env", "--config", "two.conf").output) == before && before.count > 2)
        #expect(try pair.run("destination", "list", "--config", "two.conf").output.contains("http://a:1"))
        for name in pair.names { pair.stopService(name) }
        let back = try pair.run(
            "store",
            "copy",
            "--config",
            "one.conf",
            "--back",
            "--authority",
            "authority-2",
            "--api",
            "api-2"
        )
        #expect(back.status == 0, "\(back.output)")
        for name in ["authority/ca.key", "api/clients.json", "api/token-keys.json"] {
            let parts = name.split(separator: "/")
            let other = pair.folder.appending(path: "\(parts[0])-2/\(parts[1])")
            #expect(try Data(contentsOf: pair.folder.appending(path: name)) == Data(contentsOf: other), "\(name)")
        }
        // Of another authority nothing is taken.
        try FileManager.default.removeItem(at: pair.folder.appending(path: "authority"))
        #expect(
            try pair.run("store", "copy", "--config", "one.conf", "--authority", "authority").output.contains(
                "no authority"
            )
        )
        let other = try LoggedProcess(["cloud", "--config", "files.conf"], folder: pair.folder)
        try other.wait(for: "connectivity service started")
        #expect(other.stop() == 0)
        #expect(
            try pair.run("store", "copy", "--config", "one.conf", "--authority", "authority").output.contains(
                "another authority"
            )
        )
    }
}
