import ConnectorTestSupport
import Foundation

/// An Envoy as edge, and a connector for it.
final class EnvoyRig {
    static let program = ProcessInfo.processInfo.environment["ENVOY"]

    /// How the Envoy's cluster goes on after the offer.
    enum Transport { case mutual, none, withoutCertificate, otherName, oldVersion }

    let folder: URL
    let entry: Int
    private let tunnels: Int
    private let admin: Int
    private let temporary = TemporaryDirectory()
    private var envoy: Process?
    private var process: LoggedProcess?

    init(_ transport: Transport = .mutual) throws {
        folder = URL(filePath: temporary.path)
        (entry, tunnels, admin) = (try Self.freePort(), try Self.freePort(), try Self.freePort())
        let authority = try OpenSSLAuthority(folder)
        for (name, host) in [("edge", "localhost"), ("other", "other.test"), ("plant4", "plant4.test")] {
            try openssl(
                ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)"]
                    + ["-keyout", "\(name).key", "-out", "\(name).csr"]
            )
            try authority.sign("\(name).csr", "subjectAltName=DNS:\(host)\n")
            try FileManager.default.moveItem(
                at: folder.appending(path: "answer.pem"),
                to: folder.appending(path: "\(name).pem")
            )
        }
        try write("edge.yaml", edge(transport))
        try writeConnector(Rig.system(port: 1))
        try startEnvoy()
    }

    func stop() {
        process?.stop(SIGKILL)
        stopEnvoy()
    }

    // MARK: Connector

    @discardableResult
    func startConnector(_ systems: String, _ extra: String = "") throws -> LoggedProcess {
        try writeConnector(systems, extra)
        let started = try connector()
        try started.wait(for: "tunnel connected")
        return started
    }

    func connector() throws -> LoggedProcess {
        let started = try LoggedProcess(["run", "--config", "connector.conf"], folder: folder)
        process = started
        return started
    }

    private func writeConnector(_ systems: String, _ extra: String = "") throws {
        try write(
            "connector.conf",
            """
            subaccount: test
            tunnel:
              service: localhost:\(tunnels)
              dialect: envoy
              envoy: {node-id: plant4, cluster-id: plants}
              connections: 1
              certificate: plant4.pem
              private-key: plant4.key
              trusted-ca: root.pem
              \(extra)
            check: {interval: "off"}
            admin: {socket: connector.sock, listen: "off"}
            systems:
            \(systems)
            """
        )
    }

    func rewrite(_ old: String, _ new: String) throws {
        let text = try String(contentsOf: folder.appending(path: "connector.conf"), encoding: .utf8)
        try write("connector.conf", text.replacingOccurrences(of: old, with: new))
    }

    func control(_ arguments: String...) throws -> String { try Rig.run(arguments, folder).output }

    // MARK: Envoy

    func get(_ path: String, _ arguments: String...) throws -> String {
        try curl(arguments + ["-i", "-H", "Host: backend.test", "http://127.0.0.1:\(entry)\(path)"])
    }

    /// Of the Envoy's own count.
    func figure(_ name: String) -> Int {
        let line = try? curl(["http://127.0.0.1:\(admin)/stats?filter=^\(name)$"])
        return Int(line?.split(separator: " ").last?.prefix { $0.isNumber } ?? "") ?? 0
    }

    func restart() throws {
        stopEnvoy()
        try startEnvoy()
    }

    /// Asked to end, it waits for its connections.
    private func stopEnvoy() {
        guard let envoy else { return }
        kill(envoy.processIdentifier, SIGKILL)
        envoy.waitUntilExit()
    }

    private func startEnvoy() throws {
        let process = Process()
        process.executableURL = URL(filePath: Self.program!)
        process.arguments = ["-c", "edge.yaml", "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
        process.currentDirectoryURL = folder
        process.standardError = try FileHandle(forWritingTo: touch("envoy.log"))
        try process.run()
        envoy = process
        guard Rig.eventually({ (try? curl(["http://127.0.0.1:\(admin)/ready"]))?.hasPrefix("LIVE") == true }) else {
            throw RigError("the Envoy did not start: see envoy.log")
        }
    }

    private func edge(_ transport: Transport) -> String {
        let types = "type.googleapis.com/envoy.extensions"
        func identity(_ name: String) -> String {
            "tls_certificates: [{certificate_chain: {filename: \(name).pem}, private_key: {filename: \(name).key}}]"
        }
        let trust = "validation_context: {trusted_ca: {filename: root.pem}}"
        let within: String? =
            switch transport {
            case .none: nil
            case .withoutCertificate: trust
            case .mutual, .oldVersion: "\(identity("edge")), \(trust)"
            case .otherName: "\(identity("other")), \(trust)"
            }
        // An Envoy is a client of TLS 1.2 unless it is told otherwise.
        let version = transport == .oldVersion ? "TLSv1_2" : "TLSv1_3"
        let socket = within.map {
            """
                transport_socket:
                  name: envoy.transport_sockets.tls
                  typed_config:
                    "@type": \(types).transport_sockets.tls.v3.UpstreamTlsContext
                    common_tls_context: {\($0), tls_params: {tls_maximum_protocol_version: \(version)}}
            """
        }
        return """
            stats_flush_interval: 1s
            admin: {address: {socket_address: {address: 127.0.0.1, port_value: \(admin)}}}
            bootstrap_extensions:
            - name: envoy.bootstrap.reverse_tunnel.upstream_socket_interface
              typed_config:
                "@type": \(types).bootstrap.reverse_tunnel.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface
            static_resources:
              listeners:
              - address: {socket_address: {address: 127.0.0.1, port_value: \(tunnels)}}
                filter_chains:
                - filters:
                  - name: envoy.filters.network.reverse_tunnel
                    typed_config:
                      "@type": \(types).filters.network.reverse_tunnel.v3.ReverseTunnel
                      ping_interval: 1s
                  transport_socket:
                    name: envoy.transport_sockets.tls
                    typed_config:
                      "@type": \(types).transport_sockets.tls.v3.DownstreamTlsContext
                      require_client_certificate: true
                      common_tls_context: {\(identity("edge")), \(trust)}
              - address: {socket_address: {address: 127.0.0.1, port_value: \(entry)}}
                filter_chains:
                - filters:
                  - name: envoy.filters.network.http_connection_manager
                    typed_config:
                      "@type": \(types).filters.network.http_connection_manager.v3.HttpConnectionManager
                      stat_prefix: entry
                      upgrade_configs: [{upgrade_type: websocket}]
                      route_config:
                        virtual_hosts:
                        - {name: inside, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: inside}}]}
                      http_filters:
                      - name: envoy.filters.http.router
                        typed_config: {"@type": \(types).filters.http.router.v3.Router}
              clusters:
              - name: inside
                connect_timeout: 5s
                lb_policy: CLUSTER_PROVIDED
                cluster_type:
                  name: envoy.clusters.reverse_connection
                  typed_config:
                    "@type": \(types).clusters.reverse_connection.v3.ReverseConnectionClusterConfig
                    host_id_format: plant4
                typed_extension_protocol_options:
                  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
                    "@type": \(types).upstreams.http.v3.HttpProtocolOptions
                    explicit_http_config: {http2_protocol_options: {allow_connect: true}}
            \(socket ?? "")
            """
    }

    // MARK: Small things

    private func curl(_ arguments: [String]) throws -> String {
        try Rig.run(URL(filePath: "/usr/bin/curl"), ["-s", "-m", "\(Socket.timeout)"] + arguments, folder).output
    }

    private func openssl(_ arguments: [String]) throws {
        let made = try Rig.run(URL(filePath: "/usr/bin/openssl"), arguments, folder)
        guard made.status == 0 else { throw RigError(made.output) }
    }

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func touch(_ name: String) -> URL {
        let file = folder.appending(path: name)
        _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        return file
    }

    /// Nobody listens there any more.
    private static func freePort() throws -> Int {
        let server = TestServer.http { _, _ in "" }
        defer { server.stop() }
        return server.port
    }
}
