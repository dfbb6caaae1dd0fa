import ConnectorTestSupport
import Foundation
import Testing

/// What `run` and `cloud` would refuse, `check-config` finds, in the same words and with the line.
@Suite(.serialized) final class StartTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-start-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Rig.run(["certificates", "--directory", ".", "--subaccount", "test"], folder)
        try Rig.run(["certificates", "--directory", "other", "--subaccount", "other"], folder)
        try "not a certificate\n".write(to: folder.appending(path: "text.pem"), atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func connector(
        certificate: String = "connector.pem",
        key: String = "connector.key",
        trust: String = "ca.pem",
        extra: String = ""
    ) throws {
        try write(
            "connector.conf",
            """
            subaccount: test
            tunnel:
              service: localhost:1
              certificate: \(certificate)
              private-key: \(key)
              trusted-ca: \(trust)
            admin: {socket: connector.sock}
            \(extra)
            systems: []
            """
        )
    }

    private func cloud(
        certificate: String = "service.pem",
        key: String = "service.key",
        trust: String = "ca.pem",
        extra: String = "proxy: {listen: \"127.0.0.1:0\"}"
    ) throws {
        try write(
            "cloud.conf",
            """
            subaccount: test
            tunnel:
              listen: 127.0.0.1:0
              certificate: \(certificate)
              private-key: \(key)
              trusted-ca: \(trust)
            admin: {socket: cloud.sock}
            \(extra)
            """
        )
    }

    private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Rig.run(arguments, folder)
    }

    @Test(
        "Certificates and keys that a start would refuse are refused by check-config, at their line",
        arguments: [
            (
                "connector.key", "connector.pem", "ca.pem", "connector.conf:4:",
                "are certificate and private-key exchanged?"
            ),
            ("text.pem", "connector.key", "ca.pem", "connector.conf:4:", "text.pem"),
            ("connector.pem", "text.pem", "ca.pem", "connector.conf:5:", "text.pem"),
            ("connector.pem", "other/connector.key", "ca.pem", "connector.conf:5:", "connector.key"),
            ("connector.pem", "connector.key", "text.pem", "connector.conf:6:", "text.pem"),
            ("other/connector.pem", "other/connector.key", "ca.pem", "connector.conf:4:", "is for"),
        ]
    )
    func certificates(_ certificate: String, _ key: String, _ trust: String, _ place: String, _ text: String) throws {
        try connector(certificate: certificate, key: key, trust: trust)
        let checked = try run("check-config", "connector.conf")
        #expect(checked.status == 64 && checked.output.contains(place), "\(checked.output)")
        #expect(checked.output.contains(text), "\(checked.output)")
        #expect(try run("run", "--config", "connector.conf").status == 64)
    }

    @Test(
        "The same holds for the cloud side",
        arguments: [
            ("service.key", "service.pem", "ca.pem"), ("service.pem", "other/service.key", "ca.pem"),
            ("service.pem", "service.key", "text.pem"),
        ]
    )
    func cloudCertificates(_ certificate: String, _ key: String, _ trust: String) throws {
        try cloud(certificate: certificate, key: key, trust: trust)
        let checked = try run("check-config", "--cloud", "cloud.conf")
        #expect(checked.status == 64 && checked.output.contains("cloud.conf:"), "\(checked.output)")
        #expect(try run("cloud", "--config", "cloud.conf").status == 64)
    }

    @Test("A key that everybody may open is a warning with the command that helps")
    func mode() throws {
        try connector()
        #expect(try run("check-config", "connector.conf").output.contains("usable"))
        chmod(folder.appending(path: "connector.key").path, 0o644)
        let checked = try run("check-config", "connector.conf")
        #expect(checked.status == 0 && checked.output.contains("chmod o-rwx connector.key"), "\(checked.output)")
    }

    @Test(
        "Two listeners on one address are found, each with its key",
        arguments: [
            "proxy: {listen: \"127.0.0.1:7001\"}\napi: {listen: \"127.0.0.1:7001\", directory: api}",
            "proxy: {listen: \"0.0.0.0:7001\"}\napi: {listen: \"127.0.0.1:7001\", directory: api}",
            "proxy: {listen: \"127.0.0.1:7002\"}\napi: {listen: \"127.0.0.1:0\", directory: api}\ncockpit: {listen: \"127.0.0.1:7002\"}",
        ]
    )
    func clashes(_ listeners: String) throws {
        try cloud(extra: listeners)
        let checked = try run("check-config", "--cloud", "cloud.conf")
        #expect(checked.status == 64, "\(checked.output)")
        #expect(checked.output.contains("is the address of proxy.listen already"), "\(checked.output)")
    }

    @Test("A file of the other side is said to be one, in one line")
    func wrongKind() throws {
        try connector()
        try cloud()
        for (arguments, text) in [
            (["check-config", "cloud.conf"], "this is a file of the cloud side"),
            (["run", "--config", "cloud.conf"], "this is a file of the cloud side"),
            (["check-config", "--cloud", "connector.conf"], "this is a connector's file"),
            (["cloud", "--config", "connector.conf"], "this is a connector's file"),
        ] {
            let result = try Rig.run(arguments, folder)
            #expect(result.status == 64 && result.output.contains(text), "\(result.output)")
            #expect(result.output.split(separator: "\n").count <= 2, "\(result.output)")
        }
    }

    @Test(
        "An address that is taken is named with key, file and line",
        arguments: ["proxy.listen", "api.listen", "tunnel.listen"]
    )
    func taken(_ key: String) throws {
        let holder = TestServer { socket, _ in socket.close() }
        defer { holder.stop() }
        try cloud(
            extra: """
                proxy: {listen: "127.0.0.1:\(key == "proxy.listen" ? holder.port : 0)"}
                api:
                  listen: 127.0.0.1:\(key == "api.listen" ? holder.port : 0)
                  directory: api
                """
        )
        if key == "tunnel.listen" {
            let path = folder.appending(path: "cloud.conf")
            let text = try String(contentsOf: path, encoding: .utf8)
            try write(
                "cloud.conf",
                text.replacingOccurrences(
                    of: "  listen: 127.0.0.1:0\n  certificate",
                    with: "  listen: 127.0.0.1:\(holder.port)\n  certificate"
                )
            )
        }
        let result = try run("cloud", "--config", "cloud.conf")
        #expect(result.status == 1, "\(result.output)")
        let line =
            "\(key) 127.0.0.1:\(holder.port): address already in use: stop what listens there, or choose another one"
        #expect(result.output.contains("cannot start: cloud.conf:") && result.output.contains(line), "\(result.output)")
    }

    @Test("A file that cannot be read, or is none, is named")
    func unreadable() throws {
        for name in ["missing.conf", "."] {
            let result = try run("check-config", name)
            #expect(result.status == 64 && result.output.contains("\(name):1:1: error:"), "\(result.output)")
        }
    }

    @Test("A command that is none is said to be, with the nearest one; a file that is not there, with the option")
    func unknown() throws {
        let typo = try run("statsu")
        #expect(typo.status == 64 && typo.output.contains("did you mean status?"), "\(typo.output)")
        #expect(try run("frobnicate", "--help").status == 64)
        #expect(try run("status", "--help").status == 0)
        let missing = try run("run")
        #expect(missing.status == 64, "\(missing.output)")
        let isInstalled = FileManager.default.fileExists(atPath: "/etc/connector/connector.conf")
        #expect(isInstalled || missing.output.contains("name the file with --config"), "\(missing.output)")
    }

    @Test("A restart that overlaps gets its admin socket and its metrics when they are free")
    func overlap() throws {
        let holder = TestServer { socket, _ in socket.close() }
        let port = holder.port
        try cloud(extra: "proxy: {listen: \"127.0.0.1:0\"}\n")
        let text = try String(contentsOf: folder.appending(path: "cloud.conf"), encoding: .utf8)
        let admin = "admin: {socket: cloud.sock, metrics: \"127.0.0.1:\(port)\"}"
        try write("cloud.conf", text.replacingOccurrences(of: "admin: {socket: cloud.sock}", with: admin))
        let process = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder)
        defer { process.stop() }
        try process.wait(for: "metrics not served yet")
        try process.wait(for: "connectivity service started")
        holder.stop()
        try process.wait(for: "metrics served now")
        let metrics = try Rig.run(URL(filePath: "/usr/bin/curl"), ["-s", "http://127.0.0.1:\(port)/metrics"], folder)
        #expect(metrics.output.contains("connector_service_"))
    }
}
