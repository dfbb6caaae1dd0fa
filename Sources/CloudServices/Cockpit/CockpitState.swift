internal import AdminProtocol
internal import ConnectivityService
internal import JSON
internal import TextFormats

/// Everything the page shows, as it asks for it again and again.
struct CockpitState: Encodable, Sendable {
    struct Subaccount: Encodable, Sendable {
        var id: String
        var subdomain: String
        var connectors: [ServiceStatus.Connector]
        var destinations: [DestinationMessage.Summary]
        /// Of SAP Process Orchestration.
        var systems: [ProcessOrchestrationMessage.Summary]
        /// Files of destinations that do not count.
        var findings: [String]
    }

    struct Refusal: Encodable, Sendable {
        var entry: RecentRefusals.Entry
        /// What would allow it, and where to write that.
        var advice: RefusalAdvice?
    }

    var version: String
    /// Seconds since 1970.
    var now: Int
    var proxy: String
    var subaccounts: [Subaccount]
    var refusals: [Refusal]
    /// The latest first.
    var requests: [RecentRequest]
    var listeners: [ServiceStatus.Listener]
    /// The latest first.
    var refusedConnections: [ServiceStatus.RefusedConnection]
    /// The latest first; nil without an authority.
    var certificates: [ServiceStatus.Certificate]?
    var tokens: [ServiceStatus.Token]?
    /// Among those that share the store; nil for one that is alone.
    var name: String?
    var services: [PeerStatus]?
}

/// The lines of `connector.conf` that would let a refused request through. Only an administrator of the connector can write
/// them; the cloud side knows nothing of its files.
struct RefusalAdvice: Encodable, Sendable, Equatable {
    var text: String
    var lines: String

    /// - Parameter exposed: hosts and ports that the connector exposes now.
    /// - Returns: nil where no configuration would help.
    init?(_ entry: RecentRefusals.Entry, exposed: [String] = []) {
        guard entry.source == .policy, entry.side == "cloud-connector", let (host, port, path) = Self.parts(entry)
        else {
            return nil
        }
        let system = HostPort(host: host, port: port).description
        let connector = entry.locationID.isEmpty ? "" : " of the connector with location ID \(entry.locationID)"
        switch entry.phase {
        case .system:
            if exposed.contains(system) {
                text = "\(system) is exposed, but not for this protocol: \(entry.cause)."
                lines = ""
                return
            }
            if let meant = NearestName.find(system, among: exposed.filter { $0 != system }) {
                text =
                    "\(system) is not exposed, but \(meant) is: was that meant? If not, add it to connector.conf\(connector)."
                lines = ""
                return
            }
            text =
                "In connector.conf\(connector), with the system's own address as internal-host; an item of the list where "
                + "there is one already:"
            let isTCP = entry.method == "CONNECT"
            lines = """
                systems:
                  - virtual-host: \(Self.scalar(system))
                    internal-host: \(Self.scalar(system))
                    protocol: \(isTCP ? "TCP" : "HTTP")
                """
            if !isTCP {
                lines += """

                        resources:
                          - {path: \(Self.scalar(path)), access: path-only}
                    """
            }
        case .upgrade:
            text = "In connector.conf\(connector), at the resource of \(system) that admits the path, for WebSocket:"
            lines = "upgrade-allowed: true"
        case _ where entry.cause.hasPrefix("resource suspended"):
            text = "In connector.conf\(connector), at the resource of \(system) that would admit the path:"
            lines = "active: true"
        default:
            text = "In connector.conf\(connector), below resources of \(system):"
            lines = "- {path: \(Self.scalar(path)), access: path-only}"
        }
    }

    /// Of a URL, or of the host and port of a connection.
    private static func parts(_ entry: RecentRefusals.Entry) -> (host: String, port: Int, path: String)? {
        if entry.method == "CONNECT" {
            guard let (host, port) = HostPort.parse(entry.target), let port else { return nil }
            return (host.lowercased(), port, "/")
        }
        guard let url = WebURL(String(entry.target.prefix { $0 != "?" })) else { return nil }
        return (url.host.lowercased(), url.port, url.path)
    }

    /// Plain where YAML cannot read it otherwise.
    private static func scalar(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        return isPlain ? text : String(decoding: JSONLines.encode(text).dropLast(), as: UTF8.self)
    }
}
