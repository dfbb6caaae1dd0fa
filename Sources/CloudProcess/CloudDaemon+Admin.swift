internal import AdminProtocol
internal import CloudServices
internal import ConnectivityService
internal import ControlProtocol
internal import Cryptography
internal import DaemonSupport
internal import HostSystem
internal import JSON
internal import Logging
internal import NIOHTTP1
internal import Networking
internal import Synchronization
internal import Telemetry
internal import TextFormats
internal import Tokens

/// What the admin socket answers.
extension CloudDaemon {
    var routes: HTTPRoutes {
        HTTPRoutes([
            .get("/healthz") { _ in .json(AdminMessage.Empty()) },
            .get("/status") { [self] _ in .json(await status()) },
            .get("/requests") { [self] _ in .json(await service.recentRequests()) },
            .get("/metrics") { [self] _ in
                do { return .metrics(try await metrics()) } catch { return .error(.internalServerError, "\(error)") }
            },
            .post("/reload") { [self] _ in .json(await reload("connectord reload")) },
            .put("/log-level") { [self] request in AdminLevel.set(request.body, audit, logger) },
            .post("/enrolments") { [self] request in await createToken(request.body) },
            .post("/revocations") { [self] request in await revoke(request.body) },
            .get("/bindings") { [self] _ in bindings() },
            .post("/tokens") { [self] request in createServiceToken(request.body) },
            .post("/token-keys") { [self] _ in await rotateKeys() },
            .below("/destinations/") { [self] request in await administer { await $0.answer(request) } },
            .below("/actions/") { [self] request in await administer { await $0.answerAction(request) } },
            .below("/po-systems/") { [self] request in
                await administer { await $0.answerProcessOrchestration(request) }
            },
        ])
    }

    /// Asks those who know destinations.
    private func administer(_ ask: (DestinationAdmin) async -> HTTPResponse?) async -> HTTPResponse {
        guard let api else { return Self.noAPI }
        let admin = DestinationAdmin(api: api.destinations, service: service)
        return await ask(admin) ?? .error(.notFound, "there is no such path")
    }

    /// With what the other services of the store say of themselves.
    func status() async -> ServiceStatus {
        var status = await ownStatus()
        guard let lease else { return status }
        await PeerReports.add(to: &status, own: lease.name, service.peers)
        status.directoryFault = lease.fault
        return status
    }

    func ownStatus() async -> ServiceStatus {
        var status = ServiceStatus(
            version: Version.current,
            startedAt: startedAt,
            configuration: state.withLock { $0.configuration },
            logLevel: LogLevelSwitch.level.rawValue,
            audit: audit.summary,
            proxy: service.proxyAddress,
            tunnel: service.tunnelAddress,
            isDraining: service.isDraining,
            connectors: await service.registry.fullStatus()
        )
        status.listeners = service.listenerStatus
        status.refusedConnections = service.refusedConnections
        status.store = feed?.status
        // Whoever looks at a service whose store is away has no time to wait for it.
        if status.store?.isUp ?? true, let known = await AuthorityThreads.known(to: service.authority) {
            (status.certificates, status.tokens) = (known.certificates, known.tokens)
        }
        return status
    }

    private func createToken(_ body: [UInt8]) async -> HTTPResponse {
        guard let authority, let enrolment = state.withLock({ $0.current.enrolment }) else {
            return .error(.conflict, "this service has no certificate authority; configure \"enrolment\" in \(file)")
        }
        guard let wanted = try? JSONLines.decode(AdminMessage.Enrolment.self, body), !wanted.subaccount.isEmpty,
            wanted.subaccount.utf8.count <= 128, wanted.locationID.utf8.count <= 128,
            (1...86400).contains(wanted.seconds)
        else { return .error(.badRequest, "subaccount, location ID and 1 to 86400 seconds are needed") }
        let name = enrolment.serviceNames.first ?? "localhost"
        let fallback = HostPort(host: name, port: service.tunnelPort).description
        do {
            let token = try await AuthorityThreads.run {
                try authority.createToken(
                    for: ConnectorIdentity(subaccount: wanted.subaccount, locationID: wanted.locationID),
                    service: enrolment.advertise.isEmpty ? fallback : enrolment.advertise,
                    lifetime: wanted.seconds
                )
            }
            audit.flush()
            let served = state.withLock { $0.current.service.subaccount }
            let tenants = api?.tokens.tenants.map(\.subaccount) ?? []
            let note =
                served == wanted.subaccount || tenants.contains(wanted.subaccount)
                ? nil : "this service serves subaccount \"\(served)\"; no request will reach the new connector"
            return .json(AdminMessage.Token(token: token.text, expires: token.expires, note: note))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func revoke(_ body: [UInt8]) async -> HTTPResponse {
        guard let authority else { return .error(.conflict, "this service has no certificate authority") }
        guard let wanted = try? JSONLines.decode(AdminMessage.Identity.self, body) else {
            return .error(.badRequest, "subaccount and location ID are needed")
        }
        let identity = ConnectorIdentity(subaccount: wanted.subaccount, locationID: wanted.locationID)
        let instance = wanted.instance.flatMap { InstanceName($0) }
        guard wanted.instance == nil || instance != nil else {
            return .error(.badRequest, "an instance is 1 to 63 letters, digits, \".\", \"-\" and \"_\"")
        }
        do {
            let serials = try await AuthorityThreads.run { try authority.revoke(identity, instance: instance) }
            guard !serials.isEmpty else {
                let which = instance.map { ", instance \($0)" } ?? ""
                return .error(.notFound, "there is no valid certificate for \(identity)\(which)")
            }
            let tunnels = service.registry.tunnels(of: identity, with: serials)
            service.cut(serials: serials)
            audit.flush()
            logger.notice(
                "certificates revoked",
                metadata: ["subaccount": "\(identity.subaccount)", "location_id": "\(identity.locationID)"]
            )
            return .json(AdminMessage.Revoked(certificates: serials.count, tunnels: tunnels))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private static let noAPI = HTTPResponse.error(.conflict, "this service issues no tokens; configure \"api\"")

    private func bindings() -> HTTPResponse {
        guard let api else { return Self.noAPI }
        let configured = state.withLock { $0.current.service.proxyAddress.host }
        let isAny = ["0.0.0.0", "::"].contains(configured)
        let host = isAny ? TokenService.host(of: api.tokens.url) : configured
        do {
            let bindings = try ServiceBindings(
                api.tokens,
                proxyHost: host,
                proxyPort: service.proxyPort,
                socksPort: service.socksPort
            )
            return .json(bindings)
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func createServiceToken(_ body: [UInt8]) -> HTTPResponse {
        guard let api else { return Self.noAPI }
        guard let wanted = try? JSONLines.decode(AdminMessage.TokenRequest.self, body) else {
            return .error(.badRequest, "service, and subaccount and user if wanted, are needed")
        }
        let tenants = api.tokens.tenants
        guard let tenant = wanted.subaccount.map({ id in tenants.first { $0.subaccount == id } }) ?? tenants[0] else {
            let names = tenants.map(\.subaccount).joined(separator: ", ")
            return .error(.notFound, "tokens are issued for subaccounts \(names) only; see api.tenants")
        }
        do {
            let now = WallClock.seconds()
            let answer = try api.tokens.token(for: wanted.service, user: wanted.user, tenant: tenant, now: now)
            audit.record(
                .tokenIssued,
                "Token for \(wanted.service.rawValue)\(wanted.user == nil ? "" : " and a user") by connectord token"
            )
            return .json(AdminMessage.Token(token: answer.access_token, expires: now + api.tokens.lifetime))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func rotateKeys() async -> HTTPResponse {
        guard let api else { return Self.noAPI }
        do {
            try await AuthorityThreads.run { try api.tokens.keys.rotate(now: WallClock.seconds()) }
            try await believeKeys(api)
            let id = try api.tokens.keys.current.id
            audit.record(.tokenKeysRotated, "Tokens are signed with \(id) from now on")
            logger.notice("token keys rotated", metadata: ["key": "\(id)"])
            return .json(AdminMessage.Key(id: id))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func metrics() async throws -> Exposition {
        var exposition = Exposition()
        try await service.writeMetrics(&exposition)
        exposition.family("connector_service_audit_ok", .gauge, "1 while the audit log can be written, or is off.")
        exposition.sample([:], audit.isWritable ? 1 : 0)
        exposition.family(
            "connector_service_store_up",
            .gauge,
            "1 while the store is there, or is files of this instance."
        )
        exposition.sample([:], feed?.status.isUp ?? true ? 1 : 0)
        exposition.family(
            "connector_service_directory_ok",
            .gauge,
            "1 while this service and the others of its store know each other, or there are none."
        )
        exposition.sample([:], lease?.fault == nil ? 1 : 0)
        exposition.family("connector_service_audit_records_lost_total", .counter, "Audit records not kept.")
        exposition.sample([:], audit.lost)
        let (configuration, failures) = state.withLock { ($0.configuration, $0.failedReloads) }
        exposition.family("connector_service_reloads_total", .counter, "Reloads that took effect.")
        exposition.sample([:], configuration.reloads)
        exposition.family("connector_service_reload_failures_total", .counter, "Reloads that changed nothing.")
        exposition.sample([:], failures)
        exposition.family("connector_service_configuration_ok", .gauge, "0 while the last reload was refused.")
        exposition.sample([:], configuration.lastError.isEmpty ? 1 : 0)
        return exposition
    }
}
