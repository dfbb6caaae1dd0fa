internal import AccessPolicy
package import AdminProtocol
internal import AvailabilityCheck
internal import CloudConnector
package import ConfigurationReading
internal import Cryptography
internal import DaemonSupport
internal import Telemetry
internal import TextFormats

extension ConnectorProgram {
    /// Looks at internal hosts from this process, for when no connector runs.
    ///
    /// - Parameter hosts: virtual hosts, as host or host:port; none for all.
    package static func check(
        _ file: String,
        hosts: [String],
        warn: ([Finding]) -> Void
    ) async throws -> [ConnectorStatus.System] {
        let files = try ConnectorFiles.load(file)
        warn(files.warnings)
        var results: [ConnectorStatus.System] = []
        for configuration in files.connectors {
            let systems = configuration.systems.filter {
                hosts.isEmpty || hosts.contains($0.virtualAddress) || hosts.contains($0.virtualHost)
            }
            let checker = AvailabilityChecker(logger: files.process.logger("check", .error))
            checker.apply(systems, try BackendTLS(configuration.backendTLS, configuration.systems), configuration.check)
            await checker.checkNow(systems)
            results += systems.map { ConnectorStatus.System($0, checker) }
        }
        let unknown = hosts.first { host in
            !results.contains { $0.virtualHost == host || $0.virtualHost.hasPrefix(host + ":") }
        }
        if let unknown {
            let all = files.connectors.flatMap { $0.systems.map(\.virtualAddress) }
            let nearest = NearestName.find(unknown, among: all).map { "; did you mean \($0)?" } ?? ""
            throw AdminError("\(LogText.escaped(unknown.utf8)) is not exposed\(nearest)")
        }
        return results
    }
}
