/// All system mappings of one configuration, as one immutable snapshot.
///
/// A request lives its life on the snapshot it began with. What is not exposed does not exist: no mapping, no access.
package final class AccessPolicy: Sendable {
    package let systems: [SystemMapping]
    /// In the order in which they are looked at.
    package let cookieDomains: [CookieDomain]
    private let table: SystemTable

    /// - Parameter systems: virtual host and port must be unique; of duplicates the first one counts.
    package init(systems: [SystemMapping], cookieDomains: [CookieDomain] = []) {
        self.systems = systems
        self.cookieDomains = cookieDomains
        self.table = SystemTable(systems)
    }

    /// The system exposed as `host` (compared without regard to case) and `port`.
    package func system(host: Span<UInt8>, port: UInt16) -> SystemMapping? {
        table.find(host, port).map { systems[$0] }
    }

    /// The system mapping of a virtual host in lower case and a port; nil where none is exposed under it.
    package func system(host: String, port: UInt16) -> SystemMapping? {
        let bytes = Array(host.utf8)
        return system(host: bytes.span, port: port)
    }

    /// Decides on a request to `system`.
    ///
    /// - Parameter isUpgrade: the request asks for another protocol on its connection (RFC 9110 section 7.8).
    package func evaluate(system: SystemMapping, target: RequestTarget, isUpgrade: Bool = false) -> AccessDecision {
        // What concerns the server as a whole is allowed where all of it is.
        let match =
            target.isAsterisk
            ? system.tree.match([UInt8(ascii: "/")].span)
            : system.tree.match(target.bytes.span.extracting(first: target.pathLength))
        guard let index = match.admitting else {
            if let suspended = match.suspended {
                return .deny(.resourceSuspended(path: system.resources[suspended].path))
            }
            return .deny(.resourceNotExposed)
        }
        if isUpgrade, !match.isUpgradeAllowed {
            return .deny(.upgradeNotAllowed(path: system.resources[index].path))
        }
        return .allow(Permit(system: system, target: target, resourceIndex: index, allowsUpgrade: isUpgrade))
    }

    /// The first system whose internal host and port are these; for redirects and cookies on their way back.
    package func system(internalHost: String, internalPort: UInt16) -> SystemMapping? {
        table.findInternal(internalHost.lowercased(), internalPort).map { systems[$0] }
    }

    /// The first system with this internal host on any port; for cookie domains, which have none.
    package func system(internalHost: String) -> SystemMapping? {
        table.findInternal(internalHost.lowercased()).map { systems[$0] }
    }
}

/// A domain of cookies inside, and what programs see in its place (SAP Cloud Connector, "Configure Domain Mappings for Cookies").
package struct CookieDomain: Sendable, Equatable {
    /// In lower case, without a dot in front.
    package var internalDomain: String
    package var virtualDomain: String

    package init(internalDomain: String, virtualDomain: String) {
        self.internalDomain = internalDomain.lowercased()
        self.virtualDomain = virtualDomain
    }
}
