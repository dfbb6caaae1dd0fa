package import AccessPolicy
internal import TextFormats

/// An internal host, port and protocol. One result counts for all mappings that share them.
package struct AvailabilityTarget: Hashable, Sendable {
    package var host: String
    package var port: Int
    package var `protocol`: String
    package var isHTTP: Bool
    package var isTLS: Bool
    package var authority: String
    var clientCertificate: SystemMapping.ClientCertificate?

    package init(_ system: SystemMapping) {
        host = system.internalHost
        port = Int(system.internalPort)
        `protocol` = system.protocol.rawValue
        isHTTP = system.protocol.isHTTP
        isTLS = system.protocol.isTLS
        clientCertificate = system.clientCertificate
        authority = String(decoding: system.internalAuthority, as: UTF8.self)
    }

    package var address: String { "\(HostPort(host: host, port: port))" }
}
