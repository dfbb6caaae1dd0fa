package import Foundation

/// A service with an authority of its own, in a folder: nothing is enrolled yet.
package final class EnrolmentRig {
    package let folder: URL
    package private(set) var cloud: LoggedProcess
    package private(set) var connector: LoggedProcess?
    package let tunnelPort: Int
    package let proxyPort: Int

    /// - Parameter lifetime: of connectors' certificates.
    package init(lifetime: String = "90d", cloud extra: String = "") throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "connectord-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func text(_ tunnel: Int) -> String {
            """
            subaccount: test
            proxy: {listen: "127.0.0.1:0"}
            tunnel: {listen: "127.0.0.1:\(tunnel)"}
            enrolment: {authority: authority, service-names: [localhost], certificate-lifetime: \(lifetime)}
            admin: {socket: cloud.sock}
            audit: {directory: cloud-audit}
            \(extra)
            """
        }
        try text(0).write(to: folder.appending(path: "cloud.conf"), atomically: true, encoding: .utf8)
        cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder)
        let line = try cloud.wait(for: "connectivity service started")
        let numbers = line.split(separator: "\"").compactMap { Int($0) }
        (proxyPort, tunnelPort) = (numbers[0], numbers[1])
        // A reload keeps the ports.
        try text(tunnelPort).replacingOccurrences(of: "127.0.0.1:0\"", with: "127.0.0.1:\(proxyPort)\"")
            .write(to: folder.appending(path: "cloud.conf"), atomically: true, encoding: .utf8)
    }

    package func stop() {
        _ = connector?.stop(SIGKILL)
        cloud.stop(SIGKILL)
        try? FileManager.default.removeItem(at: folder)
    }

    /// Ends the service in order and starts it again on the same ports.
    package func restartCloud() throws {
        guard cloud.stop() == 0 else { throw RigError("the service did not end in order") }
        cloud = try LoggedProcess(["cloud", "--config", "cloud.conf"], folder: folder)
        try cloud.wait(for: "connectivity service started")
    }

    package func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Rig.run(arguments, folder)
    }

    package func writeConnector(
        subaccount: String = "test",
        locationID: String = "",
        systems: String = "  []",
        tunnel extra: String = ""
    ) throws {
        let text = """
            subaccount: \(subaccount)
            location-id: "\(locationID)"
            tunnel:
              service: localhost:\(tunnelPort)
              certificate: tls/connector.pem
              private-key: tls/connector.key
              trusted-ca: tls/service-ca.pem
            \(extra)
            check: {interval: "off"}
            admin: {socket: connector.sock, listen: "127.0.0.1:0"}
            audit: {directory: audit}
            systems:
            \(systems)
            """
        try text.write(to: folder.appending(path: "connector.conf"), atomically: true, encoding: .utf8)
    }

    /// - Returns: a fresh token.
    package func token(_ arguments: String...) throws -> String {
        let all =
            ["enrol", "create", "--config", "cloud.conf"] + (arguments.isEmpty ? ["--subaccount", "test"] : arguments)
        let output = try Rig.run(all, folder).output
        guard let word = output.split(separator: "\n").first(where: { $0.hasPrefix("cce1_") }) else {
            throw RigError(output)
        }
        return String(word)
    }

    package func enrol(_ token: String) throws -> (status: Int32, output: String) {
        try Rig.run(["enrol", token, "--config", "connector.conf"], folder)
    }

    @discardableResult
    package func startConnector() throws -> LoggedProcess {
        let mark = cloud.mark
        let connector = try LoggedProcess(["run", "--config", "connector.conf"], folder: folder)
        self.connector = connector
        try cloud.wait(for: "tunnel connected", after: mark)
        return connector
    }
}
