/// A virtual host and port, the internal system behind it, and the resources that may be reached there.
///
/// Source: SAP Cloud Connector, "System Mappings". Immutable, so one instance serves all event loops.
package final class SystemMapping: Sendable {
    /// How the connector speaks to the internal host; independent of the scheme on the cloud side.
    package enum InternalProtocol: String, Sendable, CaseIterable {
        case http = "HTTP"
        case https = "HTTPS"
        case tcp = "TCP"
        case tcps = "TCPS"
    }

    /// Descriptive for HTTP.
    package enum BackEndType: String, Sendable, CaseIterable {
        case abapSys, netweaverCE, netweaverGW, applServerJava
        case businessConnector = "BC"
        case processIntegration = "PI"
        case hana, otherSAPsys, nonSAPsys
    }

    /// Which name the internal host finds in the `Host` header.
    package enum HostInHeader: String, Sendable, CaseIterable {
        case virtual
        /// Then `X-Forwarded-Host` carries the virtual host.
        case `internal`
    }

    /// What becomes of `X-Forwarded-*` and `Forwarded` from a program, which internal hosts take for the word of a proxy.
    package enum ForwardedHeaders: String, Sendable, CaseIterable {
        /// They end here.
        case drop
        /// As SAP's product does, which takes no field away.
        case pass
    }

    /// PEM files with which the connector shows who it is to this internal host.
    package struct ClientCertificate: Sendable, Hashable {
        package let certificate: String
        package let privateKey: String

        package init(certificate: String, privateKey: String) {
            (self.certificate, self.privateKey) = (certificate, privateKey)
        }
    }

    package let virtualHost: String
    package let virtualPort: UInt16
    package let internalHost: String
    package let internalPort: UInt16
    package let `protocol`: InternalProtocol
    package let backEndType: BackEndType
    package let hostInHeader: HostInHeader
    package let forwardedHeaders: ForwardedHeaders
    /// Seconds that its answers may take to begin; nil for the limit that all systems have.
    package let responseTimeout: Int?
    package let authentication: UserAuthentication
    /// Nil for the system certificate, if there is one.
    package let clientCertificate: ClientCertificate?
    package let description: String
    /// While it learns what it needs, the last one admits everything.
    package let resources: [Resource]
    /// Until when everything below the host passes; seconds since 1970, nil for a system that does not learn.
    package let learnsUntil: Int?
    /// The compiled form of `resources`.
    let tree: ResourceTree
    /// "host:port" of the internal host, without the port where it is the scheme's own; for the `Host` header.
    package let internalAuthority: [UInt8]

    /// Ports in a row, from the first one on both sides. More than one for TCP and TCPS only.
    package let portCount: Int
    /// Of `portCount`.
    package static let maxPorts = 1000

    package init(
        virtualHost: String,
        virtualPort: UInt16,
        internalHost: String,
        internalPort: UInt16,
        protocol: InternalProtocol = .http,
        backEndType: BackEndType = .nonSAPsys,
        hostInHeader: HostInHeader = .virtual,
        forwardedHeaders: ForwardedHeaders = .drop,
        responseTimeout: Int? = nil,
        authentication: UserAuthentication = UserAuthentication(),
        clientCertificate: ClientCertificate? = nil,
        description: String = "",
        portCount: Int = 1,
        learnsUntil: Int? = nil,
        resources: [Resource]
    ) {
        self.learnsUntil = learnsUntil
        self.portCount = portCount
        self.virtualHost = virtualHost.lowercased()
        self.virtualPort = virtualPort
        self.internalHost = internalHost
        self.internalPort = internalPort
        self.protocol = `protocol`
        self.backEndType = backEndType
        self.hostInHeader = hostInHeader
        self.forwardedHeaders = forwardedHeaders
        self.responseTimeout = responseTimeout
        self.authentication = authentication
        self.clientCertificate = clientCertificate
        self.description = description
        self.resources = resources
        self.tree = ResourceTree(resources)
        let isDefaultPort = internalPort == (`protocol` == .https ? 443 : 80)
        let host = Self.bracketed(internalHost)
        self.internalAuthority = Array((isDefaultPort ? host : "\(host):\(internalPort)").utf8)
    }

    /// Whether a mapping says the same, so that the old one can stay in use.
    package func isSame(as other: SystemMapping) -> Bool {
        virtualHost == other.virtualHost && virtualPort == other.virtualPort && internalHost == other.internalHost
            && internalPort == other.internalPort && `protocol` == other.`protocol`
            && backEndType == other.backEndType && hostInHeader == other.hostInHeader
            && forwardedHeaders == other.forwardedHeaders && responseTimeout == other.responseTimeout
            && authentication == other.authentication && clientCertificate == other.clientCertificate
            && description == other.description
            && portCount == other.portCount && learnsUntil == other.learnsUntil
            && resources == other.resources
    }

    /// What admits everything while a system learns. It carries no upgrades, which are not asked for by their path alone.
    package static let learning = Resource(path: "/", access: .pathAndSubPaths)

    /// The same, with its own resources only.
    package var withoutLearning: SystemMapping {
        SystemMapping(
            virtualHost: virtualHost,
            virtualPort: virtualPort,
            internalHost: internalHost,
            internalPort: internalPort,
            protocol: `protocol`,
            backEndType: backEndType,
            hostInHeader: hostInHeader,
            forwardedHeaders: forwardedHeaders,
            responseTimeout: responseTimeout,
            authentication: authentication,
            clientCertificate: clientCertificate,
            description: description,
            portCount: portCount,
            resources: learnsUntil == nil ? resources : resources.dropLast()
        )
    }

    /// "host:port" as configuration, logs and messages show it.
    package var virtualAddress: String { "\(virtualHost):\(Self.ports(virtualPort, portCount))" }
    package var internalAddress: String {
        "\(Self.bracketed(internalHost)):\(Self.ports(internalPort, portCount))"
    }

    /// An IPv6 address stands in brackets (RFC 3986 section 3.2.2).
    private static func bracketed(_ host: String) -> String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    }

    private static func ports(_ first: UInt16, _ count: Int) -> String {
        count == 1 ? "\(first)" : "\(first)-\(Int(first) + count - 1)"
    }

    package var hasActiveResource: Bool { resources.contains { $0.isActive } }
}

extension SystemMapping.InternalProtocol {
    @inlinable package var isHTTP: Bool { self == .http || self == .https }
    @inlinable package var isTLS: Bool { self == .https || self == .tcps }
}
