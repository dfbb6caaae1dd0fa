internal import AdminAccess
internal import AdminProtocol
internal import CloudConnector
internal import ConfigurationEditing
internal import ConfigurationReading
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import Telemetry
internal import TextFormats

/// A request to the API, with who makes it and what it can have done.
struct APICall: Sendable {
    let request: HTTPRequest
    /// GET for HEAD as well.
    let method: String
    let caller: AdminCaller
    /// What links begin with: scheme and authority.
    let base: String
    let host: APIHost

    /// Whoever reaches the admin socket, which lets in nobody but those who may do everything anyway.
    static let socketCaller = AdminCaller(name: "admin socket", role: .administrator, address: "")

    /// Refuses what cannot be shown without being done.
    func refuseRehearsal() throws(APIFailure) {
        if isRehearsal { throw .invalid("dry-run is for changes of the file alone") }
    }

    init(_ request: HTTPRequest, _ caller: AdminCaller, _ host: APIHost) {
        self.request = request
        method = request.method == "HEAD" ? "GET" : request.method
        self.caller = caller
        self.host = host
        base = (caller.address.isEmpty ? "http" : "https") + "://" + Self.authority(request)
    }

    /// As the client has named this connector; what is no name makes no links.
    private static func authority(_ request: HTTPRequest) -> String {
        let text = request.headers.first(name: "host") ?? ""
        guard let parsed = HostPort.parse(text), HostPort.isHostName(parsed.host) || parsed.host.contains(":") else {
            return "localhost"
        }
        return text
    }

    /// The connectors of this process, as the API has them.
    func subaccounts() async -> [APISubaccount] {
        await host.connectors().map { status in
            // A file that cannot be read just now still has a connector that runs.
            let region = (try? ConfigurationStore(status.file).value["region-host"]?.scalar) ?? ""
            return APISubaccount(
                region: region.isEmpty ? String(status.service.prefix { $0 != ":" }) : region,
                main: host.main,
                status: status
            )
        }
    }

    func allow(_ methods: String...) throws(APIFailure) {
        guard methods.contains(method) else { throw .notAllowed(methods) }
    }

    /// For log and audit log.
    func cause(_ what: String) -> String {
        "\(LogText.escaped(caller.description.utf8)) with the configuration API: \(what)"
    }

    /// Whether a change is only to be shown (`?dry-run=true`, which SAP's product does not have).
    var isRehearsal: Bool { rehearsal == "true" }
    private var rehearsal: String? { FormData([], query: request.query)?["dry-run"] }

    /// A change that was only to be looked at must not be made for a word that is spelt otherwise.
    func checkQuery() throws(APIFailure) {
        guard FormData([], query: request.query) != nil else { throw .invalid("the query of the URL is broken") }
        guard [nil, "true", "false"].contains(rehearsal) else { throw .invalid("dry-run must be true or false") }
    }

    /// Makes a change in a file, and has it taken into effect.
    ///
    /// - Parameter what: in a few words.
    /// - Throws: `Shown` where the change is only to be shown.
    func change(_ store: ConfigurationStore, _ what: String, _ body: (inout YAMLText) throws -> Void) async throws {
        let outcome = try store.change(isRehearsed: isRehearsal, body)
        if isRehearsal { throw Shown(outcome, await rehearse(store, outcome)) }
        try await takeEffect(store, outcome, what)
    }

    /// What a change would do to the file, and to the requests of the last hours; ends the call as an answer of its own.
    struct Shown: Error, Encodable {
        var difference: [String]
        var warnings: [String]
        /// Nil where nothing can be said.
        var requests: Rehearsal?

        init(_ outcome: ConfigurationStore.Outcome, _ requests: Rehearsal?) {
            difference = outcome.difference
            warnings = outcome.warnings.map { "\($0.key): \($0.message)" }
            self.requests = requests
        }
    }

    private func rehearse(_ store: ConfigurationStore, _ outcome: ConfigurationStore.Outcome) async -> Rehearsal? {
        guard let before = ConnectorConfigurationReader.read(outcome.before, file: store.path).0,
            let after = ConnectorConfigurationReader.read(outcome.after, file: store.path).0
        else { return nil }
        return Rehearsal(await host.asked(store.path), before: before, after: after)
    }

    func change(_ store: ConfigurationStore, _ what: String, _ change: YAMLChange) async throws {
        try await self.change(store, what) { try $0.apply(change) }
    }

    /// Has a change taken into effect that is in the file already.
    ///
    /// What the connector does not take is undone, so that the next change does not meet it.
    func takeEffect(_ store: ConfigurationStore, _ outcome: ConfigurationStore.Outcome, _ what: String) async throws {
        guard outcome.before != outcome.after else { return }
        let result = await host.reload(cause(what))
        guard !result.isApplied else { return }
        let finding = result.findings.first ?? ""
        guard try store.undo(outcome) else {
            throw APIFailure.failed(
                "the connector does not take the change, and somebody has edited the file meanwhile: \(finding)"
            )
        }
        _ = await host.reload(cause("undo \(what)"))
        throw APIFailure.failed("the connector does not take the change, so it was undone: \(finding)")
    }

    func reload(_ what: String) async throws(APIFailure) {
        let result = await host.reload(cause(what))
        guard result.isApplied else {
            throw .failed("the connector keeps its old configuration: \(result.findings.first ?? "")")
        }
    }

    /// Records what is not in a file that a reload looks at.
    func record(_ what: String) { host.audit.record(.configurationChanged, "\(what) [by \(cause("\(method)"))]") }
}

/// What the API asks of the process it runs in.
struct APIHost: Sendable {
    /// The main file.
    let main: String
    /// The connectors' files and states, the main one first.
    let connectors: @Sendable () async -> [ConnectorStatus.Connector]
    /// Not while another connector of the same identity serves in this one's place.
    let isMaster: @Sendable () -> Bool
    /// What became of the files when they were last read.
    let configuration: @Sendable () async -> ConfigurationState
    /// Has the files read again.
    let reload: @Sendable (_ cause: String) async -> AdminMessage.Reload
    /// Of the connector with this file, in the last hours.
    let asked: @Sendable (_ file: String) async -> [AskedRequest]
    /// Waits until a connector with this file has the tunnels it is to have, but not for long.
    let settle: @Sendable (_ file: String) async -> Void
    /// Has the connector with this file fetch the keys of identity providers anew.
    let fetchKeys: @Sendable (_ file: String) -> Void
    /// Of the connectors, for the monitoring API.
    let figures: @Sendable () async -> [ConnectorMetricsPart]
    /// Of the connector with this file.
    let slowest: @Sendable (_ file: String) async -> [SlowRequest]
    /// Nil where nobody administers over HTTPS.
    let administration: Administration?
    let machine: MachineWatch
    let audit: AuditLog
    /// Seconds since 1970.
    let startedAt: Int
}
