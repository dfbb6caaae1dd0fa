package import Cryptography

/// Connectors whose certificates do not name them: who they are, the configuration says.
package struct NamedConnectors: Sendable {
    private struct Entry: Sendable {
        /// The name that the connector asks for in TLS (SNI, RFC 6066 section 3), in lower case; nil for any.
        var serverName: String?
        var identity: ConnectorIdentity
    }

    /// By the certificate's subject (RFC 2253).
    private var bySubject: [String: [Entry]] = [:]

    package init() {}

    /// - Parameter serverName: nil for whatever name is asked for.
    /// - Returns: whether there was none for both yet.
    package mutating func add(_ subject: String, serverName: String?, _ identity: ConnectorIdentity) -> Bool {
        let serverName = serverName?.lowercased()
        guard !bySubject[subject, default: []].contains(where: { $0.serverName == serverName }) else { return false }
        bySubject[subject, default: []].append(Entry(serverName: serverName, identity: identity))
        return true
    }

    /// The one for this name before the one for any. The certificate decides who may come; the name, as which of its own.
    package func identity(_ subject: String, serverName: String?) -> ConnectorIdentity? {
        let entries = bySubject[subject] ?? []
        let named = entries.first { $0.serverName != nil && $0.serverName == serverName?.lowercased() }
        return (named ?? entries.first { $0.serverName == nil })?.identity
    }
}
