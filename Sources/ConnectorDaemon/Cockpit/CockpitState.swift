internal import ConnectivityService
internal import ControlProtocol
internal import Tokens

/// Everything the page shows, as it asks for it again and again.
struct CockpitState: Encodable, Sendable {
    struct Subaccount: Encodable, Sendable {
        var id: String
        var subdomain: String
        var connectors: [ServiceStatus.Connector]
        var destinations: [DestinationAdmin.Summary]
        /// Of SAP Process Orchestration.
        var systems: [DestinationAdmin.ProcessOrchestrationSummary]
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
}

/// The lines of `connector.conf` that would let a refused request through. Only an administrator of the connector can write
/// them; the cloud side knows nothing of its files.
struct RefusalAdvice: Encodable, Sendable, Equatable {
    var text: String
    var lines: String

    /// - Returns: nil where no configuration would help.
    init?(_ entry: RecentRefusals.Entry) {
        guard entry.source == "policy", entry.side == "cloud-connector",
            let url = WebURL(String(entry.target.prefix { $0 != "?" }))
        else { return nil }
        let system = "\(url.host.lowercased()):\(url.port)"
        let connector = entry.locationID.isEmpty ? "" : " of the connector with location ID \(entry.locationID)"
        switch entry.phase {
        case "system":
            text = "In connector.conf\(connector), with the system's own address:"
            lines = """
                systems:
                  - virtual-host: \(Self.scalar(system))
                    internal-host: HOST:PORT
                    resources:
                      - {path: \(Self.scalar(url.path)), access: path-only}
                """
        case "upgrade":
            text = "In connector.conf\(connector), at the resource of \(system) that admits the path:"
            lines = "upgrade-allowed: true"
        case _ where entry.cause.hasPrefix("resource suspended"):
            text = "In connector.conf\(connector), at the resource of \(system) that would admit the path:"
            lines = "active: true"
        default:
            text = "In connector.conf\(connector), below resources of \(system):"
            lines = "- {path: \(Self.scalar(url.path)), access: path-only}"
        }
    }

    /// Plain where YAML cannot read it otherwise.
    private static func scalar(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { octet in
            switch octet {
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
