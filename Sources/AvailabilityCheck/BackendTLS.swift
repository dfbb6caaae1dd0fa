package import AccessPolicy
package import Cryptography

/// With what the connector speaks TLS to internal hosts: the same to all, except for systems that have a client certificate of
/// their own.
package final class BackendTLS: Sendable {
    private let general: TLSContext
    private let own: [SystemMapping.ClientCertificate: TLSContext]

    /// Reads certificates and keys.
    ///
    /// - Throws: `TLSError` where one cannot be used.
    package init(_ configuration: TLSConfiguration, _ systems: [SystemMapping]) throws(TLSError) {
        general = try TLSContext(configuration)
        var own: [SystemMapping.ClientCertificate: TLSContext] = [:]
        for files in systems.lazy.compactMap(\.clientCertificate) where own[files] == nil {
            var configuration = configuration
            configuration.certificateChain = .file(files.certificate)
            configuration.privateKey = .file(files.privateKey)
            own[files] = try TLSContext(configuration)
        }
        self.own = own
    }

    package func context(_ system: SystemMapping) -> TLSContext { context(system.clientCertificate) }

    func context(_ files: SystemMapping.ClientCertificate?) -> TLSContext { files.flatMap { own[$0] } ?? general }
}
