internal import AccessPolicy
internal import AdminAccess
internal import AdminProtocol
internal import AvailabilityCheck
internal import CloudConnector
internal import ConfigurationReading
internal import ControlProtocol
internal import DaemonSupport
internal import JSON
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TextFormats

/// What the admin socket answers.
extension OnPremiseDaemon {
    var routes: HTTPRoutes {
        HTTPRoutes([
            .get("/healthz") { _ in .json(AdminMessage.Empty()) },
            .get("/status") { [self] _ in .json(await status()) },
            .get("/requests") { [self] _ in .json(await requests()) },
            .get("/metrics") { [self] _ in
                do { return .metrics(try await metrics()) } catch { return .error(.internalServerError, "\(error)") }
            },
            .post("/reload") { [self] request in .json(await reload(Self.reason(request.body))) },
            .below(ConfigurationAPI.root) { [self] request in await answer(request, APICall.socketCaller) },
            .get("/asked") { [self] _ in .json(await askedRequests()) },
            .get("/users") { [self] _ in await userAdmin { $0.list() } },
            .post("/users/add") { [self] request in await userAdmin { $0.add(request.body) } },
            .post("/users/remove") { [self] request in await userAdmin { $0.remove(request.body) } },
            .post("/users/code") { [self] request in await userAdmin { $0.code(request.body) } },
            .post("/rotate") { [self] _ in await rotate() },
            .post("/check") { [self] request in await check(request.body, inSteps: false) },
            .post("/check/steps") { [self] request in await check(request.body, inSteps: true) },
            .put("/log-level") { [self] request in AdminLevel.set(request.body, audit, logger) },
        ])
    }

    private var apiHost: APIHost {
        APIHost(
            main: file,
            connectors: { [self] in await status().connectors },
            isMaster: { [self] in isMaster },
            configuration: { [self] in state.withLock { $0.configuration } },
            reload: { [self] cause in await reload(cause) },
            asked: { [self] file in
                await connectors.first { $0.configuration.file == file }?.askedRequests() ?? []
            },
            settle: { [self] file in
                await connectors.first { $0.configuration.file == file }?.settle(upTo: .seconds(10))
            },
            fetchKeys: { [self] file in
                connectors.first { $0.configuration.file == file }?.fetchKeysAnew()
            },
            figures: { [self] in await figures() },
            slowest: { [self] file in
                await connectors.first { $0.configuration.file == file }?.slowestRequests() ?? []
            },
            administration: administration.withLock { $0 },
            machine: machine,
            audit: audit,
            startedAt: startedAt
        )
    }

    private var pageActions: PageActions {
        PageActions(
            requests: { [self] in await requests() },
            examine: { [self] name in
                for connector in connectors {
                    let systems = connector.configuration.systems
                    guard let system = systems.first(where: { $0.virtualAddress == name.lowercased() }) else {
                        continue
                    }
                    let steps = await connector.examine(system)
                    // What everybody else is told, too.
                    await connector.checker.checkNow([system])
                    return steps
                }
                return nil
            },
            renew: { [self] file in
                guard let connector = connectors.first(where: { $0.configuration.file == file }) else {
                    return "no connector has this file"
                }
                return await connector.renewCertificate()
            },
            explain: { [self] method, url in
                var best: Explanation?
                for connector in connectors {
                    let explanation = Explanation(
                        method: method,
                        url: url,
                        isUpgrade: false,
                        configuration: connector.configuration
                    )
                    if explanation.isAllowed || best == nil || explanation.lines.count > (best?.lines.count ?? 0) {
                        best = explanation
                    }
                    if explanation.isAllowed { break }
                }
                return ExplanationLines(isAllowed: best?.isAllowed ?? false, lines: best?.lines ?? [])
            }
        )
    }

    private func figures() async -> [ConnectorMetricsPart] {
        var parts: [ConnectorMetricsPart] = []
        for connector in connectors { if let part = try? await ConnectorMetricsPart(connector) { parts.append(part) } }
        return parts
    }

    /// What somebody may ask who is known.
    ///
    /// One change after the other: what is looked at for a change is still so when it is made. Edits by hand come between all the
    /// same, so each change looks at the file's text itself as well.
    func answer(_ request: HTTPRequest, _ caller: AdminCaller) async -> HTTPResponse {
        if request.method == "GET" || request.method == "HEAD" { return await answerNow(request, caller) }
        return await changes.run { [self] in await answerNow(request, caller) }
    }

    private func answerNow(_ request: HTTPRequest, _ caller: AdminCaller) async -> HTTPResponse {
        let call = APICall(request, caller, apiHost)
        if request.path.hasPrefix(ConfigurationAPI.root) { return await ConfigurationAPI.answer(call) }
        if request.path.hasPrefix(MonitoringAPI.root) { return await MonitoringAPI.answer(call) }
        if request.path.hasPrefix(PageAPI.root) {
            return await PageAPI(host: apiHost, files: pageFiles, actions: pageActions).answer(request, caller)
        }
        return APIFailure.notFound("there is no \(LogText.escaped(request.path.utf8))").response
    }

    private func userAdmin(_ body: (UserAdmin) -> HTTPResponse) async -> HTTPResponse {
        guard let administration = administration.withLock({ $0 }) else {
            return .error(.serviceUnavailable, "administration is not served; the log says why")
        }
        return body(UserAdmin(administration: administration, audit: audit))
    }

    /// As the one who asks names himself; the socket lets nobody in but those who may do everything.
    private static func reason(_ body: [UInt8]) -> String {
        guard let by = try? JSONLines.decode(AdminMessage.ReloadReason.self, body).by else {
            return "connectord reload"
        }
        return LogText.escaped(by.utf8.prefix(200))
    }

    func askedRequests() async -> AskedRequests {
        var all = AskedRequests(requests: [], missed: 0)
        for connector in connectors {
            all.requests += await connector.askedRequests()
            all.missed += await connector.askedMissed
        }
        return all
    }

    private func requests() async -> [RecentRequest] {
        var all: [RecentRequest] = []
        for connector in connectors { all += await connector.recentRequests() }
        return all.sorted { $0.time > $1.time }
    }

    private func rotate() async -> HTTPResponse {
        do {
            for connector in connectors { try connector.rotate() }
            for connector in connectors {
                guard let waiting = await connector.waitForReplacement(upTo: .seconds(40)) else { continue }
                return .error(.gatewayTimeout, "not rotated yet: \(waiting)")
            }
            return .json(AdminMessage.Empty())
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func status() async -> ConnectorStatus {
        var connectors: [ConnectorStatus.Connector] = []
        for connector in self.connectors { connectors.append(await connector.status()) }
        return ConnectorStatus(
            version: Version.current,
            startedAt: startedAt,
            configuration: state.withLock { $0.configuration },
            logLevel: LogLevelSwitch.level.rawValue,
            audit: audit.summary,
            connectors: connectors
        )
    }

    /// Looks at the named virtual hosts, or at all, and waits for the results.
    private func check(_ body: [UInt8], inSteps: Bool) async -> HTTPResponse {
        guard let wanted = try? JSONLines.decode(AdminMessage.Check.self, body).hosts else {
            return .error(.badRequest, "the body must be {\"hosts\": [...]}")
        }
        var results: [ConnectorStatus.System] = []
        var steps: [AdminMessage.Steps.System] = []
        var known: Set<String> = []
        for connector in connectors {
            let systems = connector.configuration.systems.filter {
                wanted.isEmpty || wanted.contains($0.virtualAddress) || wanted.contains($0.virtualHost)
            }
            await connector.checker.checkNow(systems)
            for system in systems where inSteps {
                steps.append(.init(virtualHost: system.virtualAddress, steps: await connector.examine(system)))
            }
            let names = Set(systems.map(\.virtualAddress))
            known.formUnion(names)
            known.formUnion(systems.map(\.virtualHost))
            results += await connector.status().systems.filter { names.contains($0.virtualHost) }
        }
        if let unknown = wanted.first(where: { !known.contains($0) }) {
            let all = connectors.flatMap { $0.configuration.systems.map(\.virtualAddress) }
            let nearest = NearestName.find(unknown, among: all).map { "; did you mean \($0)?" } ?? ""
            return .error(.notFound, "\(LogText.escaped(unknown.utf8)) is not exposed\(nearest)")
        }
        return inSteps ? .json(AdminMessage.Steps(systems: steps)) : .json(AdminMessage.Systems(systems: results))
    }

    private func metrics() async throws -> Exposition {
        var exposition = Exposition()
        var parts: [ConnectorMetricsPart] = []
        for connector in connectors { parts.append(try await ConnectorMetricsPart(connector)) }
        ConnectorExposition(parts: parts, audit: audit, state: state.withLock { $0.configuration })
            .write(&exposition)
        let failures = state.withLock { $0.failedReloads }
        exposition.family("connector_reload_failures_total", .counter, "Reloads that changed nothing.")
        exposition.sample([:], failures)
        return exposition
    }
}
