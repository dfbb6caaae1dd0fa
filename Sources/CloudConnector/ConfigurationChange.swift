internal import AccessPolicy
internal import HostSystem
internal import TextFormats

/// What a reload changes, in words for the audit log.
package enum ConfigurationChange {
    /// One line for each mapping and resource that came, went or changed, for the audit log.
    package static func describe(_ old: ConnectorConfiguration, _ new: ConnectorConfiguration) -> [String] {
        var changes: [String] = []
        let before = Dictionary(old.systems.map { ($0.virtualAddress, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.systems.map { ($0.virtualAddress, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, system) in after.sorted(by: { $0.key < $1.key }) {
            guard let previous = before[name] else {
                changes.append("BackendMapping \(name) added: \(text(system))")
                if let until = system.learnsUntil {
                    changes.append("BackendMapping \(name) LEARNS: everything passes until \(WallClock.text(until))")
                }
                continue
            }
            guard !previous.isSame(as: system) else { continue }
            if let until = system.learnsUntil, until != previous.learnsUntil {
                changes.append("BackendMapping \(name) LEARNS: everything passes until \(WallClock.text(until))")
            } else if system.learnsUntil == nil, previous.learnsUntil != nil {
                changes.append("BackendMapping \(name) learns no more")
            }
            if text(previous) != text(system) {
                changes.append("BackendMapping \(name) changed from {\(text(previous))} to {\(text(system))}")
            }
            changes += resources(name, previous.withoutLearning.resources, system.withoutLearning.resources)
        }
        for name in before.keys.sorted() where after[name] == nil { changes.append("BackendMapping \(name) removed") }
        if old.backendTLS != new.backendTLS || old.backendTrustDigest != new.backendTrustDigest {
            changes.append("TrustedBackendCertificate changed")
        }
        if old.kerberos != new.kerberos { changes.append("KerberosConfiguration changed") }
        if old.propagation != new.propagation { changes.append("PrincipalPropagation changed") }
        if old.tunnelFilesDigest != new.tunnelFilesDigest { changes.append("Certificate of the tunnel changed") }
        if old.dialer != new.dialer { changes.append("Configuration of the tunnel to \(new.dialer.service) changed") }
        let texts = [
            ("Description", old.description, new.description), ("Display name", old.displayName, new.displayName),
            ("Region host", old.regionHost, new.regionHost),
        ]
        for (name, before, after) in texts where before != after {
            changes.append("\(name) changed from {\(LogText.escaped(before.utf8))} to {\(LogText.escaped(after.utf8))}")
        }
        for domain in old.cookieDomains where !new.cookieDomains.contains(domain) {
            changes.append("CookieDomain \(domain.internalDomain) -> \(domain.virtualDomain) removed")
        }
        for domain in new.cookieDomains where !old.cookieDomains.contains(domain) {
            changes.append("CookieDomain \(domain.internalDomain) -> \(domain.virtualDomain) added")
        }
        if old.forwarding != new.forwarding || old.check != new.check || old.drain != new.drain {
            changes.append("Configuration of times and checks changed")
        }
        return changes
    }

    private static func text(_ system: SystemMapping) -> String {
        "\(system.internalAddress), \(system.protocol.rawValue), host in header \(system.hostInHeader.rawValue)"
            + (system.clientCertificate.map { ", client certificate \($0.certificate)" } ?? "")
            + (system.authentication.isOn ? ", authentication mode \(system.authentication.mode.rawValue)" : "")
    }

    private static func resources(_ name: String, _ old: [Resource], _ new: [Resource]) -> [String] {
        let added = new.filter { !old.contains($0) }.map { "AllowedResource \(text($0)) of \(name) added" }
        let removed = old.filter { !new.contains($0) }.map { "AllowedResource \(text($0)) of \(name) removed" }
        return removed + added
    }

    private static func text(_ resource: Resource) -> String {
        "\(resource.path) (\(resource.access.rawValue)\(resource.isActive ? "" : ", suspended"))"
    }
}
