internal import AccessPolicy
internal import Cryptography
internal import PrincipalPropagation
internal import TextFormats

extension ConnectorConfiguration {
    /// The same text for connectors that do the same with a request: what they expose and how, whatever their files are called. Twelve
    /// hexadecimal digits, for people to compare.
    var offer: String {
        var parts: [String] = systems.map(\.offer).sorted()
        parts += cookieDomains.map { "\($0)" }
        if let propagation {
            parts += propagation.issuers.map { "trust \($0.issuer) \($0.tenant ?? "")" }
            parts += propagation.patterns.map { "pattern \($0.condition) \($0.text)" }
        }
        return Hexadecimal.text(SHA256.digest(parts.joined(separator: "\n").utf8).prefix(6))
    }
}

extension SystemMapping {
    fileprivate var offer: String {
        let facts: [String] = [
            virtualAddress, internalAddress, self.protocol.rawValue, hostInHeader.rawValue, forwardedHeaders.rawValue,
            authentication.mode.rawValue, authentication.form.rawValue, authentication.field,
            authentication.servicePrincipal ?? "", "\(responseTimeout ?? 0)", "\(learnsUntil ?? 0)",
        ]
        let paths = resources.map { "\($0.path) \($0.access.rawValue) \($0.isActive) \($0.isUpgradeAllowed)" }
        return (facts + paths).joined(separator: "\t")
    }
}
