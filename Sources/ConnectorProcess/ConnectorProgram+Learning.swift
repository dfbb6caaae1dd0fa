internal import AccessPolicy
package import AdminProtocol
internal import CloudConnector
package import ConfigurationReading
internal import TextFormats

extension ConnectorProgram {
    /// - Parameters:
    ///   - file: a configuration that is to come.
    ///   - current: the one that is there.
    /// - Throws: `ConfigurationError` where either cannot be used.
    package static func rehearse(
        _ file: String,
        against current: String,
        _ asked: [AskedRequest]
    ) throws(ConfigurationError) -> Rehearsal {
        let new = try ConnectorConfigurationReader.load(file).configuration
        let old = try ConnectorConfigurationReader.load(current).configuration
        return Rehearsal(asked, before: old, after: new)
    }

    /// What would admit, in the file as it is, what was asked of its systems.
    package static func propose(
        _ file: String,
        host: String?,
        _ asked: [AskedRequest]
    ) throws -> [(virtualHost: String, proposals: [ResourceProposal])] {
        let configuration = try ConnectorConfigurationReader.load(file).configuration
        if let host, !configuration.systems.contains(where: { $0.virtualAddress == host.lowercased() }) {
            let all = configuration.systems.map(\.virtualAddress)
            let meant = NearestName.find(host, among: all).map { "; did you mean \($0)?" } ?? ""
            throw AdminError("\(file) has no system \(LogText.escaped(host.utf8))\(meant)")
        }
        return ResourceProposal.all(configuration, host: host, asked)
    }
}
