internal import AdminProtocol
internal import CloudConnector
internal import ConfigurationEditing
internal import ConfigurationReading
internal import ControlProtocol
internal import HostSystem
internal import Telemetry

/// Everything the page shows of itself, as it asks for it again and again. Lists are bounded, and say what they leave out.
struct PageState: Encodable {
    static let systemLimit = 200

    struct Resource: Encodable {
        var document: ResourceDocument
        var calls: Int
        /// Seconds since 1970.
        var lastUse: Int?
        var findings: [String]
    }

    struct System: Encodable {
        var document: MappingDocument
        var address: String
        /// As the file has it; nil for a system that does not learn.
        var access: String?
        var availability: Availability?
        var requests: Int
        var refused: Int
        var connections: Int
        var resources: [Resource]
        var findings: [String]
    }

    struct Connector: Encodable {
        var status: ConnectorStatus.Connector
        /// Below which the API has its mappings.
        var path: String
        var displayName: String
        var isActive: Bool
        var renews: Bool
        var trustsAll: Bool
        var systems: [System]
        /// Further ones that are not listed.
        var omitted: Int
        var findings: [String]
    }

    var version = Version.current
    /// Seconds since 1970, as all times here.
    var now = WallClock.seconds()
    var startedAt: Int
    var loadedAt: Int
    /// Of the last attempt to read the files, if it failed.
    var lastError: [String]
    var audit: String
    var connectors: [Connector] = []
    var requests: [RecentRequest]
    var certificates: MonitoringReport.Certificates

    init(_ call: APICall, _ files: PageFiles, _ requests: [RecentRequest]) async throws {
        let configuration = await call.host.configuration()
        (startedAt, loadedAt, lastError) = (call.host.startedAt, configuration.loadedAt, configuration.lastError)
        audit = call.host.audit.summary
        self.requests = Array(requests.prefix(100))
        certificates = await MonitoringReport(call).certificates()
        let figures = await call.host.figures()
        for subaccount in await call.subaccounts() {
            let status = subaccount.status
            // A file that cannot be read just now still has what is in force.
            guard let contents = try? files.contents(status.file) else { continue }
            let own = figures.first { $0.connector == (status.subaccount, status.locationID) }?.figures ?? []
            connectors.append(Self.connector(subaccount, contents, own, now))
        }
    }

    private static func connector(
        _ subaccount: APISubaccount,
        _ contents: PageFiles.Contents,
        _ figures: [SystemFigures],
        _ now: Int
    ) -> Connector {
        var status = subaccount.status
        let availability = Dictionary(status.systems.map { ($0.virtualHost, $0.availability) }) { one, _ in one }
        let counts = Dictionary(figures.map { ($0.virtualHost, $0) }) { one, _ in one }
        let items = contents.value["systems"]?.items ?? []
        let systems = items.prefix(systemLimit).enumerated().map { index, item in
            let address = item["virtual-host"]?.scalar ?? ""
            let (own, rest) = findings(contents.findings, "systems[\(index)]")
            return system(
                item,
                address,
                availability[address.lowercased()],
                counts[address.lowercased()],
                own,
                rest,
                now
            )
        }
        // Told by the file, with more than this.
        status.systems = []
        return Connector(
            status: status,
            path: SubaccountDocument.path(subaccount, ""),
            displayName: contents.value["display-name"]?.scalar ?? status.subaccount,
            isActive: contents.value["tunnel"]?.flag("active", true) ?? true,
            renews: contents.value["tunnel"]?.flag("renew", true) ?? true,
            trustsAll: contents.value["backend-trust"]?.flag("trust-all", false) ?? false,
            systems: systems,
            omitted: max(items.count - systemLimit, 0),
            findings: contents.findings.filter { !$0.key.hasPrefix("systems[") }.map { "\($0.key): \($0.message)" }
        )
    }

    /// - Returns: those of a mapping itself, and those of its resources by their index.
    private static func findings(_ all: [Finding], _ key: String) -> (own: [String], resources: [Int: [String]]) {
        var (own, resources): ([String], [Int: [String]]) = ([], [:])
        let inner = key + ".resources["
        for finding in all {
            if finding.key.hasPrefix(inner) {
                let index = Int(finding.key.dropFirst(inner.count).prefix { $0 != "]" }) ?? 0
                resources[index, default: []].append(finding.message)
            } else if finding.key == key || finding.key.hasPrefix(key + ".") {
                own.append("\(finding.key.dropFirst(key.count + 1)): \(finding.message)")
            }
        }
        return (own, resources)
    }

    private static func system(
        _ item: YAMLValue,
        _ address: String,
        _ availability: Availability?,
        _ figures: SystemFigures?,
        _ own: [String],
        _ ofResources: [Int: [String]],
        _ now: Int
    ) -> System {
        let resources = (item["resources"]?.items ?? []).enumerated().map { index, value in
            let document = ResourceDocument(value)
            let access = value["access"]?.scalar?.lowercased()
            let usage = figures?.usage.first { $0.path == document.id && $0.access == access }
            return Resource(
                document: document,
                calls: usage?.calls ?? 0,
                lastUse: usage?.age.map { now - $0 },
                findings: ofResources[index] ?? []
            )
        }
        return System(
            document: MappingDocument(item),
            address: address,
            access: item["access"]?.scalar,
            availability: availability,
            requests: figures?.requests ?? 0,
            refused: figures?.refused ?? 0,
            connections: figures?.connections ?? 0,
            resources: resources,
            findings: own
        )
    }
}
