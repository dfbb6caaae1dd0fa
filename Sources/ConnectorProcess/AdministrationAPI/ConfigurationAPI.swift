internal import AdminProtocol
internal import ConfigurationEditing
internal import ConfigurationReading
internal import ControlProtocol
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// SAP's configuration API (SAP Help, "Configuration REST APIs"), as far as it has a meaning here: subaccounts, system mappings and
/// their resources. Everything is read from and written to the files, which stay the truth.
struct ConfigurationAPI: Sendable {
    static let root = "/api/v1/"

    /// The connectors' files and states, the main one first.
    let connectors: @Sendable () async -> [ConnectorStatus.Connector]
    /// Has the files read again.
    let reload: @Sendable (_ cause: String) async -> AdminMessage.Reload

    /// - Parameter scheme: by which clients come, for links.
    func answer(_ request: HTTPRequest, scheme: String) async -> HTTPResponse {
        do {
            let path = try Self.segments(request.path)
            return try await answer(request, path, base: "\(scheme)://\(Self.authority(request))")
        } catch {
            return APIFailure(error).response
        }
    }

    /// The path below the root, decoded piece by piece, so that what is encoded within one stays within it.
    private static func segments(_ path: String) throws(APIFailure) -> [String] {
        var result: [String] = []
        for piece in path.dropFirst(root.count).split(separator: "/", omittingEmptySubsequences: false) {
            guard let text = PercentText.decode(String(piece)), !text.isEmpty else {
                throw .notFound("there is no such path")
            }
            result.append(text)
        }
        return result
    }

    /// As the client has named this connector; what is no name makes no links.
    private static func authority(_ request: HTTPRequest) -> String {
        let text = request.headers.first(name: "host") ?? ""
        guard let parsed = HostPort.parse(text), HostPort.isHostName(parsed.host) || parsed.host.contains(":") else {
            return "localhost"
        }
        return text
    }

    private func answer(_ request: HTTPRequest, _ path: [String], base: String) async throws -> HTTPResponse {
        let method = request.method == "HEAD" ? "GET" : request.method
        switch path {
        case ["connector", "version"]:
            try Self.allow(["GET"], method)
            var response = HTTPResponse.json(["version": Version.current])
            response.headers.add(name: "cache-control", value: "max-age=3600")
            return response
        case ["configuration", "subaccounts"]:
            try Self.allow(["GET"], method)
            return .json(try await subaccounts().map { SubaccountDocument($0, base, isWhole: false) })
        default: break
        }
        if path.starts(with: ["configuration", "connector"]) {
            guard let main = await connectors().first else { throw APIFailure.failed("no connector is configured") }
            return try await ConnectorEndpoint(file: main.file, reload: reload).answer(
                request,
                method,
                Array(path.dropFirst(2))
            )
        }
        guard path.count >= 4, path.starts(with: ["configuration", "subaccounts"]) else {
            throw APIFailure.invalid("this connector has no \(LogText.escaped(path.joined(separator: "/").utf8)) yet")
        }
        guard
            let subaccount = try await subaccounts().first(where: {
                $0.region == path[2] && $0.status.subaccount == path[3]
            })
        else {
            throw APIFailure.notFound(
                "Subaccount with value '\(LogText.escaped("\(path[3])@\(path[2])".utf8))' does not exist"
            )
        }
        let rest = Array(path[4...])
        guard !rest.isEmpty else {
            try Self.allow(["GET"], method)
            return .json(SubaccountDocument(subaccount, base, isWhole: true))
        }
        guard rest[0] == "systemMappings", rest.count <= 4, rest.count < 3 || rest[2] == "resources" else {
            throw APIFailure.invalid("this connector has no \(LogText.escaped(rest.joined(separator: "/").utf8)) yet")
        }
        let mappings = MappingsEndpoint(subaccount: subaccount, base: base, reload: reload)
        return try await mappings.answer(request, method, Array(rest.dropFirst()))
    }

    static func allow(_ methods: [String], _ method: String) throws(APIFailure) {
        guard methods.contains(method) else { throw .notAllowed(methods) }
    }

    private func subaccounts() async throws -> [APISubaccount] {
        let all = await connectors()
        return try all.map { status in
            let region = try ConfigurationStore(status.file).value["region-host"]?.scalar ?? ""
            return APISubaccount(
                region: region.isEmpty ? String(status.service.prefix { $0 != ":" }) : region,
                main: all[0].file,
                status: status
            )
        }
    }

    /// Has a change taken into effect that is in the file already.
    static func takeEffect(
        _ outcome: ConfigurationStore.Outcome,
        _ what: String,
        _ reload: @Sendable (String) async -> AdminMessage.Reload
    ) async throws(APIFailure) {
        guard outcome.before != outcome.after else { return }
        let result = await reload("configuration API: \(what)")
        guard result.isApplied else {
            throw .failed(
                "the file is changed, but the connector keeps its old configuration: \(result.findings.first ?? "")"
            )
        }
    }
}

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
        var connectedSinceTimeStamp: Int
        var connections: Int
        var applicationConnections: [String] = []
        var serviceChannels: [String] = []
    }

    var regionHost: String
    var subaccount: String
    var locationID: String
    var displayName: String?
    var description: String?
    var tunnel: Tunnel?
    var _links: [String: APILink]

    /// - Parameter isWhole: with its tunnel, as for one; lists have less.
    init(_ source: APISubaccount, _ base: String, isWhole: Bool) {
        let status = source.status
        (regionHost, subaccount, locationID) = (source.region, status.subaccount, status.locationID)
        let own = Self.path(source, base)
        _links = ["self": APILink(href: own), "systemMappings": APILink(href: "\(own)/systemMappings")]
        guard isWhole else { return }
        displayName = status.subaccount
        description = (try? ConfigurationStore(status.file).value["description"]?.scalar) ?? nil
        tunnel = Tunnel(
            state: status.state,
            connectedSinceTimeStamp: (status.tunnels.map(\.connectedSince).min() ?? 0) * 1000,
            connections: status.tunnels.reduce(0) { $0 + $1.streams }
        )
    }

    static func path(_ source: APISubaccount, _ base: String) -> String {
        let region = PercentText.encode(source.region)
        return
            "\(base)\(ConfigurationAPI.root)configuration/subaccounts/\(region)/\(PercentText.encode(source.status.subaccount))"
    }
}
