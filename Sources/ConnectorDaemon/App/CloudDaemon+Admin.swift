internal import ConnectivityService
internal import ControlProtocol
internal import Logging
internal import NIOHTTP1
internal import Synchronization
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// What the admin socket answers.
extension CloudDaemon: HTTPRouter {
    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        switch (request.method, request.path) {
        case ("GET", "/healthz"): return .json(AdminMessage.Empty())
        case ("GET", "/status"): return .json(status())
        case ("GET", "/metrics"):
            do { return .metrics(try await metrics()) } catch { return .error(.internalServerError, "\(error)") }
        case ("POST", "/reload"): return .json(await reload("connectord reload"))
        case ("PUT", "/log-level"): return AdminLevel.set(request.body, audit, logger)
        case ("POST", "/enrolments"): return createToken(request.body)
        case ("POST", "/revocations"): return revoke(request.body)
        case ("GET", "/bindings"): return bindings()
        case ("POST", "/tokens"): return createServiceToken(request.body)
        case ("POST", "/token-keys"): return await rotateKeys()
        case ("POST", _) where request.path.hasPrefix("/destinations/"):
            guard let api else { return Self.noAPI }
            let admin = DestinationAdmin(api: api.destinations, service: service)
            return await admin.answer(request) ?? .error(.notFound, "there is no \(request.path)")
        case ("POST", _) where request.path.hasPrefix("/actions/"):
            guard let api else { return Self.noAPI }
            let admin = DestinationAdmin(api: api.destinations, service: service)
            return await admin.answerAction(request) ?? .error(.notFound, "there is no \(request.path)")
        case ("POST", _) where request.path.hasPrefix("/po-systems/"):
            guard let api else { return Self.noAPI }
            let admin = DestinationAdmin(api: api.destinations, service: service)
            return await admin.answerProcessOrchestration(request) ?? .error(.notFound, "there is no \(request.path)")
        default: return .error(.notFound, "there is no \(request.method) \(request.path)")
        }
    }

    private func status() -> ServiceStatus {
        ServiceStatus(
            version: Version.current,
            startedAt: startedAt,
            configuration: state.withLock { $0.configuration },
            logLevel: LogLevelSwitch.level.rawValue,
            audit: audit.summary,
            proxy: service.proxyAddress,
            tunnel: service.tunnelAddress,
            isDraining: service.isDraining,
            connectors: service.registry.status()
        )
    }

    private func createToken(_ body: [UInt8]) -> HTTPResponse {
        guard let authority, let enrolment = state.withLock({ $0.current.enrolment }) else {
            return .error(.conflict, "this service has no certificate authority; configure \"enrolment\" in \(file)")
        }
        guard let wish = try? JSONLines.decode(AdminMessage.Enrolment.self, body), !wish.subaccount.isEmpty,
            wish.subaccount.utf8.count <= 128, wish.locationID.utf8.count <= 128, (1...86400).contains(wish.seconds)
        else { return .error(.badRequest, "subaccount, location ID and 1 to 86400 seconds are needed") }
        let fallback = "\(enrolment.serviceNames.first ?? "localhost"):\(service.tunnelPort)"
        do {
            let token = try authority.createToken(
                for: ConnectorIdentity(subaccount: wish.subaccount, locationID: wish.locationID),
                service: enrolment.advertise.isEmpty ? fallback : enrolment.advertise,
                lifetime: wish.seconds
            )
            audit.flush()
            let served = state.withLock { $0.current.service.subaccount }
            let tenants = api?.tokens.tenants.map(\.subaccount) ?? []
            let note =
                served == wish.subaccount || tenants.contains(wish.subaccount)
                ? nil : "this service serves subaccount \"\(served)\"; no request will reach the new connector"
            return .json(AdminMessage.Token(token: token.text, expires: token.expires, note: note))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func revoke(_ body: [UInt8]) -> HTTPResponse {
        guard let authority else { return .error(.conflict, "this service has no certificate authority") }
        guard let wish = try? JSONLines.decode(AdminMessage.Identity.self, body) else {
            return .error(.badRequest, "subaccount and location ID are needed")
        }
        let identity = ConnectorIdentity(subaccount: wish.subaccount, locationID: wish.locationID)
        do {
            let serials = try authority.revoke(identity)
            guard !serials.isEmpty else { return .error(.notFound, "there is no valid certificate for \(identity)") }
            let tunnels = service.registry.group(identity)?.count ?? 0
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
        let bindings = ServiceBindings(
            api.tokens,
            proxyHost: host,
            proxyPort: service.proxyPort,
            socksPort: service.socksPort
        )
        return .json(bindings)
    }

    private func createServiceToken(_ body: [UInt8]) -> HTTPResponse {
        guard let api else { return Self.noAPI }
        guard let wish = try? JSONLines.decode(AdminMessage.TokenWish.self, body) else {
            return .error(.badRequest, "service, and subaccount and user if wanted, are needed")
        }
        let tenants = api.tokens.tenants
        guard let tenant = wish.subaccount.map({ id in tenants.first { $0.subaccount == id } }) ?? tenants[0] else {
            let names = tenants.map(\.subaccount).joined(separator: ", ")
            return .error(.notFound, "tokens are issued for subaccounts \(names) only; see api.tenants")
        }
        do {
            let now = WallClock.seconds()
            let answer = try api.tokens.token(for: wish.service, user: wish.user, tenant: tenant, now: now)
            audit.record(
                .tokenIssued,
                "Token for \(wish.service.rawValue)\(wish.user == nil ? "" : " and a user") by connectord token"
            )
            return .json(AdminMessage.Token(token: answer.access_token, expires: now + api.tokens.lifetime))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
    }

    private func rotateKeys() async -> HTTPResponse {
        guard let api else { return Self.noAPI }
        do {
            try api.tokens.keys.rotate(now: WallClock.seconds())
            let current = state.withLock { $0.current }
            try await service.apply(try Self.complete(current, authority, api))
        } catch {
            return .error(.internalServerError, "\(error)")
        }
        let id = api.tokens.keys.current.id
        audit.record(.tokenKeysRotated, "Tokens are signed with \(id) from now on")
        logger.notice("token keys rotated", metadata: ["key": "\(id)"])
        return .json(AdminMessage.Key(id: id))
    }

    private func metrics() async throws -> Exposition {
        var exposition = Exposition()
        try await service.writeMetrics(&exposition)
        exposition.family("connector_service_audit_ok", .gauge, "1 while the audit log can be written, or is off.")
        exposition.sample([:], audit.isWritable ? 1 : 0)
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
