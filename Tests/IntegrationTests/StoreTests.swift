import ConnectorTestSupport
import Foundation
import Testing

/// Two services on one PostgreSQL, as processes.
@Suite(.serialized, .enabled(if: PostgreSQLServer.isThere)) struct StoreTests {
    private final class Pair {
        let database: PostgreSQLServer
        let folder: URL
        private(set) var services: [String: LoggedProcess] = [:]
        private(set) var ports: [String: (proxy: Int, tunnel: Int)] = [:]
        private(set) var connectors: [LoggedProcess] = []

        init() throws {
            database = try PostgreSQLServer()
            folder = FileManager.default.temporaryDirectory.appending(path: "connectord-test-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try write("store.key", String(repeating: "k", count: 40) + "\n")
            let url = try database.url()
            for name in ["one", "two"] {
                try write(
                    "\(name).conf",
                    """
                    subaccount: test
                    proxy: {listen: "127.0.0.1:0"}
                    tunnel: {listen: "127.0.0.1:0"}
                    store: {url: "\(url)", key-file: store.key}
                    enrolment: {service-names: [localhost]}
                    admin: {socket: \(name).sock}
                    """
                )
            }
        }

        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        }

        func run(_ arguments: String...) throws -> (status: Int32, output: String) { try Rig.run(arguments, folder) }

        func startServices() throws {
            for name in ["one", "two"] {
                let process = try LoggedProcess(["cloud", "--config", "\(name).conf"], folder: folder)
                let line = try process.wait(for: "connectivity service started")
                let numbers = line.split(separator: "\"").compactMap { Int($0) }
                (services[name], ports[name]) = (process, (numbers[0], numbers[1]))
                try process.wait(for: "the store is there")
            }
        }

        /// Enrols at one service, and then serves both with what it has got there.
        func startConnector(_ backend: Int) throws {
            for name in ["one", "two"] {
                try write(
                    "c-\(name).conf",
                    """
                    subaccount: test
                    tunnel: {service: "localhost:\(ports[name]?.tunnel ?? 0)", connections: 1, certificate: c.pem, private-key: c.key, trusted-ca: ca.pem}
                    systems: [{virtual-host: "backend.test:80", internal-host: "127.0.0.1:\(backend)", protocol: HTTP, resources: [{path: /x, access: path-only}]}]
                    admin: {socket: c-\(name).sock, listen: "off"}
                    """
                )
            }
            let enrolled = try run("enrol", try token("one"), "--config", "c-one.conf")
            guard enrolled.status == 0 else { throw RigError(enrolled.output) }
            for name in ["one", "two"] {
                let mark = services[name]?.mark ?? 0
                connectors.append(try LoggedProcess(["run", "--config", "c-\(name).conf"], folder: folder))
                try services[name]?.wait(for: "tunnel connected", after: mark)
            }
        }

        func token(_ service: String) throws -> String {
            let output = try run("enrol", "create", "--config", "\(service).conf", "--subaccount", "test").output
            guard let word = output.split(separator: "\n").first(where: { $0.hasPrefix("cce1_") }) else {
                throw RigError(output)
            }
            return String(word)
        }

        func ask(_ service: String) throws -> String {
            try Rig.run(
                URL(filePath: "/usr/bin/curl"),
                [
                    "-s", "-m", "\(Socket.timeout)", "-x", "127.0.0.1:\(ports[service]?.proxy ?? 0)",
                    "http://backend.test/x",
                ],
                folder
            ).output
        }

        func status(_ service: String) throws -> String {
            try run("status", "--cloud", "--socket", "\(service).sock").output
        }

        func stop() {
            for process in connectors + services.values { process.stop(SIGKILL) }
            database.stop()
            try? FileManager.default.removeItem(at: folder)
        }
    }

    @Test
    func
        `Both know one authority; what one revokes ends at the other; without the store requests go on and changes do not`()
        throws
    {
        let pair = try Pair()
        defer { pair.stop() }
        let empty = try pair.run("cloud", "--config", "one.conf")
        #expect(empty.status != 0 && empty.output.contains("connectord store migrate"), "\(empty.output)")
        #expect(try pair.run("store", "check", "--config", "one.conf").status == 2)
        #expect(try pair.run("store", "migrate", "--config", "one.conf").output.contains("from version 0 to 1"))
        #expect(try pair.run("store", "migrate", "--config", "two.conf").output.contains("nothing to do"))
        #expect(try pair.run("store", "check", "--config", "one.conf").status == 0)
        let backend = TestServer.http { _, _ in TestServer.ok("inside") }
        defer { backend.stop() }
        try pair.startServices()
        try pair.startConnector(backend.port)
        #expect(try pair.ask("one") == "inside" && pair.ask("two") == "inside")
        _ = try pair.token("two")
        // Away, as by a crash.
        try pair.database.halt()
        #expect(try Rig.eventually { try pair.status("one").contains("AWAY") && pair.status("two").contains("AWAY") })
        #expect(try pair.ask("one") == "inside" && pair.ask("two") == "inside")
        let refused = try pair.run("enrol", "create", "--config", "one.conf", "--subaccount", "test")
        #expect(refused.status != 0 && refused.output.contains("connection"), "\(refused.output)")
        let revoking = try pair.run("enrol", "revoke", "--config", "one.conf", "--subaccount", "test")
        #expect(revoking.status != 0, "\(revoking.output)")
        #expect(try pair.ask("two") == "inside", "nothing was revoked by half")
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
            try pair.ask("two").contains("no SAP Cloud Connector")
                || pair.ask("two").contains("There is no SAP Cloud Connector")
        )
    }

    @Test func `What is wrong with the section is said at its place`() throws {
        let pair = try Pair()
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
