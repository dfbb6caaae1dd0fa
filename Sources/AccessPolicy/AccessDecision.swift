/// The policy's answer to one request.
package enum AccessDecision: Sendable {
    case allow(Permit)
    case deny(AccessDenial)
}

/// Why the policy said no.
package enum AccessDenial: Sendable, Equatable {
    /// No system mapping has this virtual host and port.
    case systemNotExposed
    /// The system has no active resource that admits the path.
    case resourceNotExposed
    /// A resource would admit the path, but it is suspended.
    case resourceSuspended(path: String)
    /// The path is admitted, but none of the admitting resources allows protocol upgrades.
    case upgradeNotAllowed(path: String)

    /// A few words for logs, metrics and `Proxy-Status`; from a fixed set.
    package var reason: String {
        switch self {
        case .systemNotExposed: "system not exposed"
        case .resourceNotExposed: "resource not exposed"
        case .resourceSuspended: "resource suspended"
        case .upgradeNotAllowed: "upgrade not allowed"
        }
    }
}
