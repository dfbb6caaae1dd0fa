internal import ConnectivityService
internal import ControlProtocol
internal import Glibc
internal import Logging
internal import Synchronization
internal import Telemetry
internal import Tokens
internal import TunnelCore

/// `connectord cloud` as a process: the connectivity service, its certificate authority, the admin socket, reload and
/// end.
final class CloudDaemon: Sendable {
    let service: ConnectivityService
    let file: String
    let logger: Logger
    let audit: AuditLog
    let authority: EnrolmentAuthority?
    let api: CloudAPI?
    let apiServer: CloudAPIServer?
    let cockpitServer: CloudAPIServer?
    let notifier: SystemdNotifier
    let spans: SpanFile?
    let startedAt = WallClock.seconds()
    let state: Mutex<State>
    let reloads = SerialTasks()
    let admin: AdminServers

    struct State {
        var current: CloudConfiguration
        var configuration: ConfigurationState
        var failedReloads = 0
    }

    static func start(
        _ configuration: CloudConfiguration,
        notifier: SystemdNotifier,
        logger: Logger
    ) async throws -> CloudDaemon {
        let audit = try AuditLog(configuration.process.audit, logger: logger)
        let daemon = try await CloudDaemon(configuration, audit, notifier, logger)
        audit.record(.serviceStarted, "Connectivity service \(Version.current) started with \(configuration.file)")
        await daemon.admin.apply(configuration.process, nil, daemon)
        return daemon
    }

    private init(
        _ configuration: CloudConfiguration,
        _ audit: AuditLog,
        _ notifier: SystemdNotifier,
        _ logger: Logger
    ) async throws {
        self.file = configuration.file
        self.logger = logger
        self.audit = audit
        self.notifier = notifier
        admin = AdminServers(logger: logger)
        spans = configuration.process.bootstrapTracing("connectivity-service")
        authority = try configuration.enrolment.map { enrolment in
            try EnrolmentAuthority(
                folder: enrolment.authority,
                anchor: enrolment.anchor.isEmpty ? nil : try Self.text(enrolment.anchor),
                lifetime: enrolment.lifetime,
                audit: audit
            )
        }
        (api, apiServer) = try await Self.bindAPI(configuration, audit, logger)
        do {
            cockpitServer = try await Self.bindCockpit(configuration)
        } catch {
            await apiServer?.stop()
            throw error
        }
        do {
            service = try await ConnectivityService.start(
                try Self.complete(configuration, authority, api),
                authority: authority ?? NoAuthority(),
                audit: audit,
                logger: logger
            )
        } catch {
            await cockpitServer?.stop()
            await apiServer?.stop()
            throw error
        }
        let loaded = ConfigurationState(file: configuration.file, loadedAt: WallClock.seconds())
        state = Mutex(State(current: configuration, configuration: loaded))
        do {
            try await serveAPI()
            try await serveCockpit(configuration)
        } catch {
            await cockpitServer?.stop()
            await apiServer?.stop()
            try? await service.shutdown()
            throw error
        }
    }

    private static func text(_ path: String) throws(ConfigurationError) -> String {
        String(decoding: try ConfigurationFile.bytes(path), as: UTF8.self)
    }

    private static func bindAPI(
        _ configuration: CloudConfiguration,
        _ audit: AuditLog,
        _ logger: Logger
    ) async throws -> (CloudAPI?, CloudAPIServer?) {
        guard let settings = configuration.api else { return (nil, nil) }
        let server = try await CloudAPIServer.bind(settings.address)
        do {
            let api = try CloudAPI(settings, port: server.port, configuration.service.subaccount, audit, logger)
            return (api, server)
        } catch {
            await server.stop()
            throw error
        }
    }

    private func serveAPI() async throws {
        if service.socksPort > 0 { logger.info("socks started", metadata: ["port": "\(service.socksPort)"]) }
        guard let api, let apiServer else { return }
        api.destinations.checker.connect(service)
        try await apiServer.serve(api)
        logger.info("api started", metadata: ["port": "\(apiServer.port)", "url": "\(api.tokens.url)"])
    }

    private static func bindCockpit(_ configuration: CloudConfiguration) async throws -> CloudAPIServer? {
        guard let settings = configuration.cockpit else { return nil }
        return try await CloudAPIServer.bind(settings.address)
    }

    private func serveCockpit(_ configuration: CloudConfiguration) async throws {
        guard let api, let cockpitServer, let settings = configuration.cockpit else { return }
        let access = try CockpitAccess(hostNames: settings.hostNames, password: settings.password)
        try await cockpitServer.serve(Cockpit(access, service, api.destinations, logger))
        let host = settings.isLoopback ? "localhost" : settings.address.host
        logger.info("cockpit started", metadata: ["url": "http://\(host):\(cockpitServer.port)/"])
    }

    /// Fills in what the service's own authority and token service provide.
    static func complete(
        _ configuration: CloudConfiguration,
        _ authority: EnrolmentAuthority?,
        _ api: CloudAPI?
    ) throws -> ServiceConfiguration {
        var service = configuration.service
        if configuration.usesTokens {
            guard let api else {
                throw PrivateFileError("tokens need the section \"api\", which is read at the start only")
            }
            service.tokens = try api.proxyVerifier()
        }
        service.socksTokens = try api?.proxyVerifier()
        guard let authority, let enrolment = configuration.enrolment else { return service }
        if configuration.usesOwnCertificate {
            let identity = try authority.issueServer(names: enrolment.serviceNames)
            service.tunnelTLS.certificateChain = .pem(identity.certificate)
            service.tunnelTLS.privateKey = .pem(identity.privateKey)
        }
        if service.tunnelTLS.trust == .anchors([]) {
            service.tunnelTLS.trust = .anchors([.pem(authority.certificate)])
        }
        service.tunnelTLS.requiresClientCertificate = true
        service.tunnelTLS.applicationProtocols = [TunnelProtocol.name, EnrolmentProtocol.name]
        service.tunnelTLS.anonymousProtocols = [EnrolmentProtocol.name]
        return service
    }

    // MARK: Running

    /// Runs until SIGTERM or SIGINT, then finishes what is in flight.
    func run(_ signals: Signals) async throws {
        let watchdog = Watchdog(notifier: notifier) { [self] in
            service.eventLoops + admin.eventLoops + (apiServer?.eventLoops ?? []) + (cockpitServer?.eventLoops ?? [])
        }
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { await watchdog.run() }
            tasks.addTask { [self] in await keepStatus() }
            tasks.addTask { [self] in await renewOwnCertificate() }
            for await number in signals.stream {
                guard number == SIGHUP else { break }
                _ = await reload("SIGHUP")
            }
            tasks.cancelAll()
        }
        logger.info("connectivity service stopping")
        notifier.stopping()
        try await service.shutdown()
        await cockpitServer?.stop()
        await apiServer?.stop()
        await admin.stop()
        audit.record(.serviceStopped, "Connectivity service stopped")
        audit.end()
        spans?.flush()
        logger.info("connectivity service stopped")
    }

    private func keepStatus() async {
        notifier.ready(summary)
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            notifier.status(summary)
        }
    }

    /// The service's own certificate lives a good year; a new one each 90 days is always in time.
    private func renewOwnCertificate() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(90 * 86400))
            if !Task.isCancelled { _ = await reload("renewal of the service's certificate") }
        }
    }

    /// One line for `systemctl status`.
    private var summary: String {
        let connectors = service.registry.status()
        let connected = connectors.count { $0.tunnels > 0 }
        var text = "\(connected) connectors, \(connectors.reduce(0) { $0 + $1.tunnels }) tunnels"
        let configuration = state.withLock { $0.configuration }
        if !configuration.lastError.isEmpty { text += "; LAST RELOAD FAILED: \(configuration.lastError[0])" }
        let audit = audit.summary
        if audit.contains("cannot be written") { text += "; audit log \(audit)" }
        return text
    }

    // MARK: Reload

    func reload(_ cause: String) async -> AdminMessage.Reload {
        await reloads.run { [self] in
            notifier.reloading()
            defer {
                notifier.ready(summary)
                UnusedMemory.release()
            }
            do {
                let (new, warnings) = try CloudConfigurationReader.load(file)
                let old = state.withLock { $0.current }
                try await service.apply(try Self.complete(new, authority, api))
                authority?.reload()
                await apply(new, old)
                audit.record(.configurationChanged, "Configuration reloaded [by \(cause)]")
                logger.info("configuration reloaded", metadata: ["by": "\(cause)"])
                return AdminMessage.Reload(isApplied: true, findings: warnings.digest)
            } catch {
                let findings = (error as? ConfigurationError)?.findings.digest ?? ["\(error)"]
                state.withLock { state in
                    state.configuration.lastError = findings
                    state.failedReloads += 1
                }
                logger.error(
                    "configuration not changed",
                    metadata: ["cause": "\(findings.first ?? "")", "by": "\(cause)"]
                )
                audit.record(.configurationRefused, "Configuration not changed by \(cause): \(findings.first ?? "")")
                return AdminMessage.Reload(isApplied: false, findings: findings)
            }
        }
    }

    private func apply(_ new: CloudConfiguration, _ old: CloudConfiguration) async {
        state.withLock { state in
            state.current = new
            state.configuration.loadedAt = WallClock.seconds()
            state.configuration.reloads += 1
            state.configuration.lastError = []
        }
        if new.process.logLevel != old.process.logLevel { LogLevelSwitch.level = new.process.logLevel ?? .info }
        await admin.apply(new.process, old.process, self)
        let needsStart =
            new.process.audit != old.process.audit || new.process.traceFile != old.process.traceFile
            || new.process.logFormat != old.process.logFormat
            || new.enrolment != old.enrolment || new.api != old.api || new.cockpit != old.cockpit
            || new.service.eventLoops != old.service.eventLoops
        if needsStart {
            logger.warning(
                "audit, tracing, enrolment, api, cockpit, log.format and event-loops take effect at the next start"
            )
        }
    }
}
