internal import AdminAccess
internal import AdminProtocol
internal import ConfigurationEditing
internal import HostSystem
internal import JSON
internal import Networking
internal import TextFormats

/// Learn mode on the page: begin, look at what was learnt, accept it.
struct PageLearning {
    let call: APICall

    private struct Accepted: Decodable {
        struct Resource: Decodable {
            var path: String
            var access: String
        }

        var virtualHost: String
        var resources: [Resource]
    }

    private func store(_ virtualHost: String) async throws -> ConfigurationStore {
        for connector in await call.host.connectors() {
            guard connector.systems.contains(where: { $0.virtualHost == virtualHost.lowercased() }) else { continue }
            return try ConfigurationStore(connector.file, main: call.host.main)
        }
        throw APIFailure.notFound("there is no system \(LogText.escaped(virtualHost.utf8))")
    }

    private func mayChange() throws(APIFailure) {
        guard [.administrator, .associateAdministrator, .subaccountAdministrator].contains(call.caller.role) else {
            throw .forbidden("this needs the role Administrator, Associate Administrator, Subaccount Administrator")
        }
    }

    /// For some hours from now; 0 ends it.
    func set() async throws {
        try mayChange()
        var body = try APIBody(call.request)
        let (name, hours) = (try body.required("virtualHost"), try body.required("hours"))
        try body.finish()
        guard let hours = Int(hours), (0...24).contains(hours) else {
            throw APIFailure.invalid("hours must be a number from 0, which ends it, to 24")
        }
        let until = WallClock.text(WallClock.seconds() + hours * 3600)
        let value: YAMLValue? = hours == 0 ? nil : .text("learn until \(until)")
        let command = AdministrationCommand.changeSystem(name, [.init("access", value)])
        try await call.change(
            try await store(name),
            hours == 0 ? "learn no more" : "learn until \(until)",
            command.apply
        )
    }

    func proposals() async throws -> [ResourceProposal] {
        var body = try APIBody(call.request)
        let name = try body.required("virtualHost")
        try body.finish()
        let store = try await store(name)
        let asked = await call.host.asked(store.path)
        let configuration = try ConnectorConfigurationReader.load(store.path).configuration
        return ResourceProposal.all(configuration, host: name, asked).first?.proposals ?? []
    }

    /// Adds resources, and ends the learning, in one change.
    func accept() async throws {
        try mayChange()
        guard let wanted = try? JSONLines.decode(Accepted.self, call.request.body) else {
            throw APIFailure.invalid(
                "the body must be {\"virtualHost\": …, \"resources\": [{\"path\": …, \"access\": …}]}"
            )
        }
        try await call.change(try await store(wanted.virtualHost), "accept what was learnt") { text in
            for resource in wanted.resources {
                let entries: [YAMLValue.Entry] = [
                    .init("path", .text(resource.path)), .init("access", .text(resource.access)),
                    .init("created", .text(WallClock.timestamp())),
                ]
                try AdministrationCommand.addResource(system: wanted.virtualHost, entries).apply(to: &text)
            }
            try AdministrationCommand.changeSystem(wanted.virtualHost, [.init("access", nil)]).apply(to: &text)
        }
    }
}
