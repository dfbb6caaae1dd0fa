internal import AccessPolicy
internal import ArgumentParser

/// `connectord explain`: rehearses a request against the configuration.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say which mapping and resource decide on a request, and why.",
        discussion: """
            Exit status: 0 if the request would be forwarded, 1 if it would be refused, 64 for a bad configuration.
            """
    )

    @Option(help: "The configuration file.")
    var config = DefaultFile.connector

    @Flag(help: "The request asks for a protocol upgrade, such as WebSocket.")
    var upgrade = false

    @Argument(help: "GET, POST and so on. Methods make no difference to the policy.")
    var method: String

    @Argument(help: "As a program in the cloud writes it, such as http://internalhost:3333/hello.")
    var url: String

    func run() throws {
        let configuration = try CommandSupport.load { try ConnectorConfigurationReader.load(config) }
        let explanation = Explanation(method: method, url: url, isUpgrade: upgrade, configuration: configuration)
        for line in explanation.lines { print(line) }
        if !explanation.isAllowed { throw ExitCode.failure }
    }
}

/// What would become of a request, in lines for a person.
struct Explanation {
    private(set) var lines: [String] = []
    private(set) var isAllowed = false

    init(method: String, url: String, isUpgrade: Bool, configuration: ConnectorConfiguration) {
        let octets = Array(url.utf8)
        do throws(RequestTargetError) {
            let parts = try RequestTarget.Parts(octets.span)
            guard let authority = parts.authority else { throw .unsupportedForm }
            let target = try RequestTarget(octets.span)
            decide(method, url, authority, target, isUpgrade, configuration)
        } catch {
            let isHTTPS = error == .unsupportedScheme && url.hasPrefix("https")
            lines = [
                isHTTPS
                    ? "decision    refused with 405: HTTPS proxying is not supported"
                    : "decision    refused with 400: \(error.rawValue)"
            ]
            if error == .unsupportedScheme || error == .unsupportedForm {
                lines.append("advice      write the URL as http://VIRTUAL-HOST:PORT/PATH")
            }
        }
    }

    private mutating func decide(
        _ method: String,
        _ url: String,
        _ authority: RequestAuthority,
        _ target: RequestTarget,
        _ isUpgrade: Bool,
        _ configuration: ConnectorConfiguration
    ) {
        let policy = AccessPolicy(systems: configuration.systems)
        let host = String(decoding: Array(url.utf8)[authority.host], as: UTF8.self)
        guard let system = policy.system(host: host, port: authority.port) else {
            lines = ["system      \(host):\(authority.port) is not exposed", "decision    denied with 403"]
            let known = configuration.systems.map(\.virtualAddress)
            if let nearest = NearestName.find("\(host):\(authority.port)", among: known) {
                lines.append("advice      did you mean \(nearest)?")
            }
            return
        }
        let place = place(of: system, configuration)
        lines.append(
            "system      \(system.virtualAddress) -> \(system.internalAddress) over \(system.protocol.rawValue)"
                + place(nil)
        )
        guard system.protocol.isHTTP else {
            lines.append("decision    denied with 403: \(system.protocol.rawValue) systems take no HTTP requests")
            return
        }
        switch policy.evaluate(system: system, target: target, isUpgrade: isUpgrade) {
        case .allow(let permit):
            isAllowed = !isUpgrade
            let resource = permit.resource
            let kind = resource.access.rawValue + (resource.isSegmentMatch ? ", segment-match" : "")
            lines.append("resource    \(resource.path) (\(kind))" + place(permit.resourceIndex))
            lines.append(
                isUpgrade ? "decision    501: upgrades are allowed but not carried yet" : "decision    allowed"
            )
            lines.append("sends       \(method) \(String(decoding: target.octets, as: UTF8.self)) HTTP/1.1")
            let hostField =
                system.hostInHeader == .virtual
                ? "\(host):\(authority.port)" : String(decoding: system.internalAuthority, as: UTF8.self)
            lines.append("            host: \(hostField)")
            if system.hostInHeader == .internal {
                lines.append("            x-forwarded-host: \(host):\(authority.port)")
            }
        case .deny(let denial):
            lines.append("decision    denied with 403: \(denial.reason)")
            lines += advice(denial, target, system, place)
        }
    }

    private func advice(
        _ denial: AccessDenial,
        _ target: RequestTarget,
        _ system: SystemMapping,
        _ place: (Int?) -> String
    ) -> [String] {
        switch denial {
        case .systemNotExposed: return []
        case .resourceSuspended(let path):
            let index = system.resources.firstIndex { $0.path == path && !$0.isActive }
            return ["advice      \(path) would admit it, but is suspended: set active: true" + place(index)]
        case .upgradeNotAllowed(let path):
            let index = system.resources.firstIndex { $0.path == path }
            return ["advice      \(path) admits the path, but not upgrades: set upgrade-allowed: true" + place(index)]
        case .resourceNotExposed:
            let paths = system.resources.map(\.path)
            let below = system.resources.firstIndex {
                $0.access == .pathOnly && target.pathText.hasPrefix($0.path)
            }
            if let below {
                return [
                    "advice      \(system.resources[below].path) admits only itself; access: path-and-sub-paths would "
                        + "admit what is below" + place(below)
                ]
            }
            if let nearest = NearestName.find(target.pathText, among: paths) {
                return ["advice      the nearest exposed path is \(nearest)" + place(paths.firstIndex(of: nearest))]
            }
            return [
                "advice      exposed are: " + (paths.isEmpty ? "no paths" : paths.prefix(8).joined(separator: ", "))
            ]
        }
    }

    private func place(
        of system: SystemMapping,
        _ configuration: ConnectorConfiguration
    ) -> (Int?) -> String {
        guard let index = configuration.systems.firstIndex(where: { $0 === system }) else { return { _ in "" } }
        let place = configuration.places[index]
        return { resource in "  (\(place.file):\(resource.map { place.resourceLines[$0] } ?? place.line))" }
    }
}
