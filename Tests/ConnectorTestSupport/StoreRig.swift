package import Foundation

/// Services that share a PostgreSQL, as processes, and connectors of one identity, each with tunnels to one service only.
package final class StoreRig {
    package let database: PostgreSQLServer
    package let folder: URL
    package let names: [String]
    package private(set) var services: [String: LoggedProcess] = [:]
    package private(set) var ports: [String: (proxy: Int, tunnel: Int)] = [:]
    package private(set) var connectors: [String: LoggedProcess] = [:]

    /// - Parameters:
    ///   - arePeers: they know each other.
    ///   - extra: in the file of each service.
    package init(_ names: [String] = ["one", "two"], arePeers: Bool = false, cloud extra: String = "") throws {
        self.names = names
        database = try PostgreSQLServer()
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try write("store.key", String(repeating: "k", count: 40) + "\n")
        let url = try database.url()
        for name in names {
            try write(
                "\(name).conf",
                """
                subaccount: test
                proxy: {listen: "127.0.0.1:0"}
                tunnel: {listen: "127.0.0.1:0"}
                store: {url: "\(url)", key-file: store.key}
                \(arePeers ? "peers: {name: \(name), listen: \"127.0.0.1:0\"}" : "")
                enrolment: {service-names: [localhost]}
                admin: {socket: \(name).sock}
                \(extra)
                """
            )
        }
    }

    package func write(_ name: String, _ text: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    package func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Rig.run(arguments, folder)
    }

    package func migrate() throws {
        let made = try run("store", "migrate", "--config", "\(names[0]).conf")
        guard made.status == 0 else { throw RigError(made.output) }
    }

    package func startServices() throws { for name in names { try startService(name) } }

    /// On the ports that it had before, if it was there.
    package func startService(_ name: String) throws {
        let process = try LoggedProcess(["cloud", "--config", "\(name).conf"], folder: folder)
        services[name] = process
        let line = try process.wait(for: "connectivity service started")
        let numbers = line.split(separator: "\"").compactMap { Int($0) }
        try process.wait(for: "the store is there")
        guard ports[name] == nil else { return }
        ports[name] = (numbers[0], numbers[1])
        let text = try String(contentsOf: folder.appending(path: "\(name).conf"), encoding: .utf8)
        try write(
            "\(name).conf",
            text.replacing("proxy: {listen: \"127.0.0.1:0\"", with: "proxy: {listen: \"127.0.0.1:\(numbers[0])\"")
                .replacing("tunnel: {listen: \"127.0.0.1:0\"", with: "tunnel: {listen: \"127.0.0.1:\(numbers[1])\"")
        )
    }

    package func stopService(_ name: String, _ signal: Int32 = SIGTERM) { services[name]?.stop(signal) }

    /// - Parameters:
    ///   - name: of its files; made anew each time, with the certificate of the identity.
    ///   - service: whose tunnels it has.
    package func writeConnector(_ name: String, to service: String, systems: String, extra: String = "") throws {
        try write(
            "\(name).conf",
            """
            subaccount: test
            tunnel: {service: "localhost:\(ports[service]?.tunnel ?? 0)", connections: 1, certificate: c.pem, private-key: c.key, trusted-ca: ca.pem}
            systems: [\(systems)]
            check: {interval: "off"}
            admin: {socket: \(name).sock, listen: "off"}
            \(extra)
            """
        )
    }

    package func rewrite(_ name: String, _ change: (String) -> String) throws {
        try write(name, change(String(contentsOf: folder.appending(path: name), encoding: .utf8)))
    }

    /// Gets the identity's certificate by a token of a service.
    package func enrol(_ connector: String, at service: String) throws {
        let enrolled = try run("enrol", try token(service), "--config", "\(connector).conf")
        guard enrolled.status == 0 else { throw RigError(enrolled.output) }
    }

    /// Returns when the service has its tunnel.
    @discardableResult
    package func startConnector(_ name: String, at service: String) throws -> LoggedProcess {
        let mark = services[service]?.mark ?? 0
        let process = try LoggedProcess(["run", "--config", "\(name).conf"], folder: folder)
        connectors[name] = process
        try services[service]?.wait(for: "tunnel connected", after: mark)
        return process
    }

    package func token(_ service: String) throws -> String {
        let output = try run("enrol", "create", "--config", "\(service).conf", "--subaccount", "test").output
        guard let word = output.split(separator: "\n").first(where: { $0.hasPrefix("cce1_") }) else {
            throw RigError(output)
        }
        return String(word)
    }

    /// - Returns: the status and the body.
    package func curl(_ service: String, _ path: String = "/x", _ arguments: [String] = []) throws -> String {
        try Rig.run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "-m", "\(Socket.timeout)", "-x", "127.0.0.1:\(ports[service]?.proxy ?? 0)"] + arguments
                + ["http://backend.test\(path)"],
            folder
        ).output
    }

    package func status(_ service: String) throws -> String {
        try run("status", "--cloud", "--socket", "\(service).sock").output
    }

    package func stop() {
        for process in Array(connectors.values) + services.values { process.stop(SIGKILL) }
        database.stop()
        try? FileManager.default.removeItem(at: folder)
    }
}
