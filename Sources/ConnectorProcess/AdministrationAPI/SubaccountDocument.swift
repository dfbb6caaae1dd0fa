internal import AdminProtocol
internal import ConfigurationEditing
internal import ConfigurationReading
internal import Cryptography
internal import TextFormats

/// A connector as the API has it: a subaccount of a region.
struct APISubaccount: Sendable {
    /// The file's `region-host`; without one, the host of the connectivity service.
    var region: String
    /// The connector's own file.
    var main: String
    var status: ConnectorStatus.Connector
}

/// A subaccount on the wire (SAP Help, "Subaccount").
struct SubaccountDocument: Encodable {
    struct Tunnel: Encodable {
        var state: String
        /// Milliseconds since 1970; 0 without a tunnel.
        var connectedSinceTimeStamp: Int
        /// Requests in progress.
        var connections: Int
        var applicationConnections: [String] = []
        var serviceChannels: [String] = []
        var subaccountCertificate: CertificateDocument?
        /// Nobody: the connector was paired with a one-time token.
        var user = ""
    }

    var regionHost: String
    var subaccount: String
    var locationID: String
    var displayName: String?
    var description: String?
    var autoCertRenewal: Bool?
    var isManaged: Bool?
    var tunnel: Tunnel?
    var _links: [String: APILink]

    /// - Parameter isWhole: with its tunnel, as for one; lists have less.
    init(_ source: APISubaccount, _ base: String, isWhole: Bool) {
        let status = source.status
        (regionHost, subaccount, locationID) = (source.region, status.subaccount, status.locationID)
        let own = Self.path(source, base)
        _links = ["self": APILink(href: own)]
        for name in ["systemMappings", "domainMappings", "state", "validity"] {
            _links[name] = APILink(href: "\(own)/\(name)")
        }
        guard isWhole else { return }
        let file = try? ConfigurationStore(status.file).value
        let name = file?["display-name"]?.scalar ?? ""
        displayName = name.isEmpty ? status.subaccount : name
        description = file?["description"]?.scalar
        autoCertRenewal = file?["tunnel"]?.flag("renew", true) ?? true
        isManaged = false
        tunnel = Tunnel(
            state: file?["tunnel"]?.flag("active", true) == false ? "Disconnected" : status.state,
            connectedSinceTimeStamp: (status.tunnels.map(\.connectedSince).min() ?? 0) * 1000,
            connections: status.tunnels.reduce(0) { $0 + $1.streams },
            subaccountCertificate: (file?["tunnel"]?["certificate"]?.scalar).flatMap {
                (try? CertificateDetails(.file(Credential.path($0)))).map { CertificateDocument($0) }
            }
        )
    }

    static func path(_ source: APISubaccount, _ base: String) -> String {
        let region = PercentText.encode(source.region)
        return
            "\(base)\(ConfigurationAPI.root)configuration/subaccounts/\(region)/\(PercentText.encode(source.status.subaccount))"
    }
}
