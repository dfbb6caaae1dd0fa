internal import AdminAccess
internal import AdminProtocol
internal import CloudConnector
internal import ConfigurationEditing
internal import ControlProtocol
internal import HostSystem
internal import NIOHTTP1
internal import Networking
internal import TextFormats

/// Pairs the process with one more subaccount, or with one anew, by the one-time token of a connectivity service: that is our
/// `authenticationData`.
struct NewSubaccount {
    let call: APICall

    private func token(_ body: inout APIBody) throws -> EnrolmentToken {
        for name in ["cloudUser", "cloudPassword", "user", "password"] {
            try body.refuse(
                name,
                "is not needed here: send authenticationData, a token that connectord enrol create has printed"
            )
        }
        guard let text = try body.text("authenticationData") else {
            throw APIFailure.invalid("authenticationData is missing: a token that connectord enrol create has printed")
        }
        guard let token = EnrolmentToken(text: text) else {
            throw APIFailure.invalid("authenticationData is not an enrolment token; copy the whole word")
        }
        return token
    }

    func add() async throws -> HTTPResponse {
        var body = try APIBody(call.request)
        let token = try token(&body)
        let (description, name) = (try body.text("description") ?? "", try body.text("displayName") ?? "")
        let (location, region) = (try body.text("locationID"), try body.text("regionHost") ?? "")
        let subaccount = try body.text("subaccount")
        let renews = try body.flag("autoCertRenewal") ?? true
        _ = try body.flag("isManaged")
        try body.finish()
        guard subaccount == nil || subaccount == token.subaccount else {
            throw APIFailure.invalid("the token is for subaccount \(LogText.escaped(token.subaccount.utf8))")
        }
        guard location == nil || location == "" || location == token.locationID else {
            throw APIFailure.invalid("the token is for location ID \"\(LogText.escaped(token.locationID.utf8))\"")
        }
        let all = await call.subaccounts()
        guard let folder = call.host.administration?.settings.folder else {
            throw APIFailure.failed("administration is not served, so there is no folder for certificates")
        }
        guard region.isEmpty || HostPort.isHostName(region) else {
            throw APIFailure.invalid("regionHost is not a host name")
        }
        let own = region.isEmpty ? String(token.service.prefix { $0 != ":" }) : region
        // The API knows subaccounts by region and name alone.
        let twin = all.first { $0.status.subaccount == token.subaccount && $0.region == own }
        if let twin, twin.status.locationID != token.locationID {
            throw APIFailure.conflict(
                "this subaccount has another location ID already in region \(own): send another regionHost, by which the two are told apart"
            )
        }
        guard
            !all.contains(where: {
                $0.status.subaccount == token.subaccount && $0.status.locationID == token.locationID
            })
        else { throw APIFailure.conflict("subaccount \(LogText.escaped(token.subaccount.utf8)) exists already") }
        let plan = SubaccountPlan(token, main: call.host.main, folder: folder)
        var entries: [YAMLValue.Entry] = [.init("subaccount", .text(token.subaccount))]
        if !region.isEmpty { entries.append(.init("region-host", .text(region))) }
        if !token.locationID.isEmpty { entries.append(.init("location-id", .text(token.locationID))) }
        if !name.isEmpty { entries.append(.init("display-name", .text(name))) }
        if !description.isEmpty { entries.append(.init("description", .text(description))) }
        // A main file that says nothing but how it is administered becomes the first connector's.
        if all.isEmpty, try ConfigurationStore(call.host.main).value["subaccount"] == nil {
            try await setUp(plan, token, plan.entries(entries, renews: renews))
        } else {
            try await begin(plan, token, plan.text(entries, renews: renews))
        }
        guard
            let made = await call.subaccounts().first(where: {
                $0.status.subaccount == token.subaccount && $0.status.locationID == token.locationID
            })
        else { throw APIFailure.failed("the subaccount was added, and is not there") }
        var response = HTTPResponse.json(SubaccountDocument(made, call.base, isWhole: true), .created)
        response.headers.add(name: "location", value: SubaccountDocument.path(made, call.base))
        return response
    }

    private func setUp(_ plan: SubaccountPlan, _ token: EnrolmentToken, _ entries: [YAMLValue.Entry]) async throws {
        let configuration = try ConnectorConfigurationReader.load(call.host.main, SubaccountPlan.text(entries))
            .configuration
        try await enrol(token, configuration)
        try await call.change(
            ConfigurationStore(call.host.main),
            "set up subaccount \(LogText.escaped(token.subaccount.utf8))"
        ) {
            for entry in entries { try $0.apply(.set([.key(entry.key)], entry.value)) }
        }
        await call.host.settle(call.host.main)
    }

    private func begin(_ plan: SubaccountPlan, _ token: EnrolmentToken, _ text: [UInt8]) async throws {
        guard !PlainFile.isThere(plan.file) else { throw APIFailure.conflict("\(plan.file) is there already") }
        let configuration = try ConnectorConfigurationReader.load(plan.file, text).configuration
        try await enrol(token, configuration)
        do {
            try Folder.make(plan.folder, mode: 0o750)
            try AtomicFile.write(text, to: plan.file, mode: 0o640)
            try await call.reload("add subaccount \(LogText.escaped(token.subaccount.utf8))")
        } catch {
            try? PlainFile.remove(plan.file)
            throw error
        }
        await call.host.settle(plan.file)
    }

    /// A new certificate for a subaccount that is there.
    func renew(_ subaccount: APISubaccount) async throws {
        var body = try APIBody(call.request)
        let token = try token(&body)
        try body.finish()
        let configuration = try ConnectorConfigurationReader.load(subaccount.status.file).configuration
        try await enrol(token, configuration)
        try await call.reload("renew the certificate of subaccount \(subaccount.status.subaccount)")
    }

    private func enrol(_ token: EnrolmentToken, _ configuration: ConnectorConfiguration) async throws {
        do {
            _ = try await Enrolment(token: token, configuration: configuration, owner: nil).run()
        } catch let error as EnrolMismatchError {
            throw APIFailure.invalid(error.description)
        } catch {
            throw APIFailure.failed("the service could not be paired with: \(ConnectionError(error).cause)")
        }
    }
}

/// Where the file and the certificates of a new subaccount go.
struct SubaccountPlan {
    let folder: String
    let file: String
    private let token: EnrolmentToken
    private let certificates: String

    init(_ token: EnrolmentToken, main: String, folder: String) {
        self.token = token
        self.folder = ConfigurationFolder.path(beside: main)
        // Nothing but letters, digits and dashes of what a token says gets into a path.
        let text = [token.subaccount, token.locationID].filter { !$0.isEmpty }.joined(separator: "-")
        let name = String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }.prefix(80))
        file = "\(self.folder)/\(name).conf"
        certificates = "\(folder)/tls-\(name)"
    }

    /// With the tunnel.
    func entries(_ entries: [YAMLValue.Entry], renews: Bool) -> [YAMLValue.Entry] {
        var tunnel: [YAMLValue.Entry] = [
            .init("service", .text(token.service)),
            .init("certificate", .text("\(certificates)/connector.pem")),
            .init("private-key", .text("\(certificates)/connector.key")),
            .init("trusted-ca", .text("\(certificates)/service-ca.pem")),
        ]
        if !renews { tunnel.append(.init("renew", .word("false"))) }
        return entries + [.init("tunnel", .mapping(tunnel))]
    }

    func text(_ entries: [YAMLValue.Entry], renews: Bool) -> [UInt8] {
        let note = "# A subaccount that was added through the configuration API; edit it as any other file.\n"
        return Array(note.utf8) + Self.text(self.entries(entries, renews: renews))
    }

    static func text(_ entries: [YAMLValue.Entry]) -> [UInt8] {
        let lines = entries.flatMap { YAMLWriter.entry($0.key, $0.value, indent: 0) }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}
