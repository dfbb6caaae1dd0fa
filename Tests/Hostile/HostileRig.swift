import ConnectorTestSupport
import Foundation

/// A service with an authority of its own, a well-behaved connector of the subaccount's default location, and certificates
/// for others that are not.
final class HostileRig {
    struct Identity {
        var certificate: String
        var key: String
        var anchor: String
    }

    let folder: URL
    private(set) var cloud: LoggedProcess
    private var connector: LoggedProcess?
    private(set) var proxyPort = 0
    private(set) var tunnelPort = 0
    let backend: TestServer

    /// - Parameters:
    ///   - extra: further lines for cloud.conf; PROXY stands for further keys of `proxy`.
    ///   - wrapper: a program with arguments that becomes connectord.
    init(cloud extra: String = "", proxy: String = "", wrapper: [String] = []) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-hostile-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // One loop: whoever holds it holds it for all.
        let text = """
            subaccount: test
            event-loops: 1
            proxy: {listen: "127.0.0.1:0"\(proxy)}
            tunnel: {listen: "127.0.0.1:0"}
            enrolment: {authority: authority, service-names: [localhost]}
            admin: {socket: cloud.sock, metrics: "127.0.0.1:0"}
            audit: {directory: cloud-audit}
            \(extra)
            """
        try text.write(to: folder.appending(path: "cloud.conf"), atomically: true, encoding: .utf8)
        cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder, wrapper: wrapper)
        backend = Load.backend()
        let line = try cloud.wait(for: "connectivity service started")
        let numbers = line.split(separator: "\"").compactMap { Int($0) }
        (proxyPort, tunnelPort) = (numbers[0], numbers[1])
    }

    func stop() {
        connector?.stop(SIGKILL)
        cloud.stop(SIGKILL)
        backend.stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// The port in the first log line with this text.
    func port(_ text: String) throws -> Int {
        let line = try cloud.wait(for: text)
        guard let port = line.split(whereSeparator: { !$0.isNumber }).compactMap({ Int($0) }).last(where: { $0 > 1023 })
        else { throw RigError(line) }
        return port
    }

    /// A certificate for a connector of this location.
    func enrol(_ location: String, subaccount: String = "test") throws -> Identity {
        let created = try Rig.run(
            [
                "enrol", "create", "--config", "cloud.conf", "--subaccount", subaccount, "--location-id", location,
            ],
            folder
        )
        guard let token = created.output.split(separator: "\n").first(where: { $0.hasPrefix("cce1_") }) else {
            throw RigError(created.output)
        }
        let name = location.isEmpty ? "default" : location
        let text = """
            subaccount: \(subaccount)
            location-id: "\(location)"
            tunnel:
              service: localhost:\(tunnelPort)
              connections: 1
              certificate: \(name).pem
              private-key: \(name).key
              trusted-ca: \(name)-ca.pem
            check: {interval: "off"}
            admin: {socket: \(name).sock}
            audit: {directory: \(name)-audit}
            systems:
            \(Rig.system(port: backend.port))
            """
        try text.write(to: folder.appending(path: "\(name).conf"), atomically: true, encoding: .utf8)
        let enrolled = try Rig.run(["enrol", String(token), "--config", "\(name).conf"], folder)
        guard enrolled.status == 0 else { throw RigError(enrolled.output) }
        func path(_ file: String) -> String { folder.appending(path: file).path }
        return Identity(certificate: path("\(name).pem"), key: path("\(name).key"), anchor: path("\(name)-ca.pem"))
    }

    /// The well-behaved connector.
    func startConnector() throws {
        _ = try enrol("")
        let mark = cloud.mark
        connector = try LoggedProcess(["run", "--config", "default.conf"], folder: folder)
        try cloud.wait(for: "tunnel connected", after: mark)
    }

    /// A hostile connector that has introduced itself.
    func hostile(_ identity: Identity, session: String = UUID().uuidString) throws -> FramePeer {
        let peer = try FramePeer.connector(tunnelPort, identity)
        try peer.introduce(session: session)
        return peer
    }

    static let location = "hostile"

    /// A request that goes to the hostile connector.
    static func request(_ method: String = "GET", _ fields: String = "") -> String {
        "\(method) http://backend.test/x HTTP/1.1\r\nHost: backend.test\r\nSAP-Connectivity-SCC-Location_ID: \(location)\r\n"
            + fields + "\r\n"
    }

    func connect() throws -> Socket { try Socket(connectingTo: proxyPort) }

    /// Whether the well-behaved connector still answers.
    func isServing() throws -> Bool {
        let socket = try connect()
        socket.send("GET http://backend.test/y HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
        return String(decoding: socket.receiveToEnd().bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200")
    }

    /// What the service's audit log holds by now.
    func auditRecords() throws -> String {
        let audit = folder.appending(path: "cloud-audit")
        return try FileManager.default.contentsOfDirectory(atPath: audit.path).filter { $0.hasSuffix(".jsonl") }
            .map { try String(contentsOf: audit.appending(path: $0), encoding: .utf8) }.joined()
    }

    func metrics() throws -> String {
        let port = try port("metrics served")
        let socket = try Socket(connectingTo: port)
        socket.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return String(decoding: socket.receiveToEnd().bytes, as: UTF8.self)
    }
}
