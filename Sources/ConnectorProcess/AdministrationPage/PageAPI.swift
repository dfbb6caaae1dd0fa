internal import AdminAccess
internal import AdminProtocol
internal import CloudConnector
internal import HostSystem
internal import JSON
internal import NIOHTTP1
internal import Networking
internal import Telemetry
internal import TextFormats

/// What the page asks beside SAP's API: what there is to see, checks and explanations, and what the file said before.
struct PageAPI: Sendable {
    static let root = "/api/page/"

    let host: APIHost
    let files: PageFiles
    let actions: PageActions

    func answer(_ request: HTTPRequest, _ caller: AdminCaller) async -> HTTPResponse {
        let call = APICall(request, caller, host)
        do {
            try call.checkQuery()
            guard caller.role != .monitoring else {
                throw APIFailure.forbidden("the role Monitoring reads /api/monitoring/ only")
            }
            return try await answer(call, String(request.path.dropFirst(Self.root.count)))
        } catch let shown as APICall.Shown {
            return .json(shown)
        } catch {
            return APIFailure(error).response
        }
    }

    private func answer(_ call: APICall, _ path: String) async throws -> HTTPResponse {
        switch path {
        case "state":
            try call.allow("GET")
            return .json(try await PageState(call, files, await actions.requests()))
        case "log":
            try call.allow("GET")
            return .json(RecentLog.shared.all)
        case "audit":
            try call.allow("GET")
            return .json(PageAudit(records: host.audit.latest(200), summary: host.audit.summary))
        case "audit/verify":
            try call.allow("POST")
            return try verify()
        case "check":
            try call.allow("POST")
            var body = try APIBody(call.request)
            let name = try body.required("virtualHost")
            try body.finish()
            guard let steps = await actions.examine(name) else {
                throw APIFailure.notFound("there is no system \(LogText.escaped(name.utf8))")
            }
            return .json(steps)
        case "explain":
            try call.allow("POST")
            var body = try APIBody(call.request)
            let (method, url) = (try body.text("method") ?? "GET", try body.required("url"))
            try body.finish()
            return .json(try await actions.explain(method, url))
        case "renew":
            try call.allow("POST")
            guard call.caller.role == .administrator || call.caller.role == .associateAdministrator else {
                throw APIFailure.forbidden("this needs the role Administrator, Associate Administrator")
            }
            var body = try APIBody(call.request)
            let file = try body.required("file")
            try body.finish()
            if let cause = await actions.renew(file) { throw APIFailure.conflict("not renewed: \(cause)") }
            return .empty
        case "learn":
            try call.allow("POST")
            try await PageLearning(call: call).set()
            return .empty
        case "proposals":
            try call.allow("POST")
            return .json(try await PageLearning(call: call).proposals())
        case "accept":
            try call.allow("POST")
            try await PageLearning(call: call).accept()
            return .empty
        case "history":
            try call.allow("GET")
            return .json(try await history(call))
        case "history/restore":
            try call.allow("POST")
            try await restore(call)
            return .empty
        default: throw APIFailure.notFound("there is no such path")
        }
    }

    // MARK: Audit

    private struct PageAudit: Encodable {
        /// The latest first.
        var records: [AuditLog.Line]
        var summary: String
    }

    private struct Verification: Encodable {
        var isWhole: Bool
        var text: String
        var findings: [String]
    }

    private func verify() throws -> HTTPResponse {
        guard host.audit.isOn else { throw APIFailure.conflict("the audit log is off") }
        let result = try AuditVerifier(folder: host.audit.configuration.directory).verify()
        let text = "\(Count.text(result.records, "record")) in \(Count.text(result.files, "file"))"
        return .json(
            Verification(isWhole: result.findings.isEmpty, text: text, findings: result.findings + result.notes)
        )
    }

    // MARK: History

    private struct Version: Encodable {
        var file: String
        var number: Int
        var name: String
        /// From that version to what the file says now.
        var difference: [String]
    }

    private func history(_ call: APICall) async throws -> [Version] {
        var all: [Version] = []
        for file in await editedFiles() {
            let store = try ConfigurationStore(file)
            for (index, path) in store.versions.enumerated() {
                let name = path.split(separator: "/").last.map { String($0) } ?? ""
                let difference = try store.difference(to: index + 1)
                all.append(Version(file: file, number: index + 1, name: name, difference: difference))
            }
        }
        return all
    }

    private func editedFiles() async -> [String] {
        let files = await host.connectors().map(\.file)
        return files.contains(host.main) ? files : [host.main] + files
    }

    private func restore(_ call: APICall) async throws {
        // An earlier version may say anything of the connector.
        guard call.caller.role == .administrator else {
            throw APIFailure.forbidden("this needs the role Administrator")
        }
        var body = try APIBody(call.request)
        let (file, name) = (try body.required("file"), try body.required("name"))
        try body.finish()
        guard await editedFiles().contains(file) else {
            throw APIFailure.notFound("no connector has the file \(LogText.escaped(file.utf8))")
        }
        let store = try ConfigurationStore(file, main: host.main)
        // By its name: numbers move when somebody else changes the file meanwhile.
        guard let index = store.versions.firstIndex(where: { $0.hasSuffix("/" + name) }) else {
            throw APIFailure.notFound("that version is not kept any more")
        }
        let outcome = try store.restore(index + 1, isRehearsed: call.isRehearsal)
        if call.isRehearsal { throw APICall.Shown(outcome, nil) }
        try await call.takeEffect(store, outcome, "restore \(name)")
    }
}

/// What the page has done by the process.
struct PageActions: Sendable {
    /// The last requests, the latest first.
    let requests: @Sendable () async -> [RecentRequest]
    /// Nil where there is no such system.
    let examine: @Sendable (_ virtualHost: String) async -> [CheckStep]?
    /// Renews the certificate of the connector with this file; why it was not renewed.
    let renew: @Sendable (_ file: String) async -> String?
    let explain: @Sendable (_ method: String, _ url: String) async throws -> ExplanationLines
}

/// What would become of a request, for the page.
struct ExplanationLines: Encodable, Sendable {
    var isAllowed: Bool
    var lines: [String]
}
