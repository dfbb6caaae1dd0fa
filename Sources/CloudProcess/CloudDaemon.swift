package import AdminProtocol
internal import CloudServices
internal import ConfigurationReading
package import ConnectivityService
internal import ControlProtocol
internal import Cryptography
package import DaemonSupport
internal import Glibc
package import HostSystem
internal import JSON
package import Logging
package import NIOCore
internal import Networking
internal import PostgreSQL
internal import Synchronization
internal import Telemetry
internal import TextFormats
internal import Tokens
internal import TunnelCore

/// `connectord cloud` as a process: the connectivity service, its certificate authority, the admin socket, reload and
/// end.
package final class CloudDaemon: Daemon {
    package let service: ConnectivityService
    let file: String
    let logger: Logger
    let audit: AuditLog
    let authority: EnrolmentAuthority?
    /// Nil without a store that several share.
    let feed: StoreFeed?
    /// Nil without other services beside this one.
    let lease: ServiceLease?
    let api: CloudAPI?
    /// Of API and cockpit.
    private let listeners = Mutex<[HTTPListener]>([])
    private let certificates: Certificates

    /// Of API and cockpit.
    struct Certificates: Sendable {
        let api: ListenerCertificate
        let cockpit: ListenerCertificate

        init(_ configuration: CloudConfiguration) throws {
            api = try ListenerCertificate(configuration.api?.tls)
            cockpit = try ListenerCertificate(configuration.cockpit?.tls)
        }
    }

    let notifier: SystemdNotifier
    let startedAt = WallClock.seconds()
    let state: Mutex<State>
    let reloads = SerialTasks()
    let admin: AdminServers

    struct State {
        var current: CloudConfiguration
        var configuration: ConfigurationState
        var failedReloads = 0
    }

    /// Starts everything that the file says.
    ///
    /// - Returns: also what is to be stopped, in which order.
    package static func start(
        _ configuration: CloudConfiguration,
        notifier: SystemdNotifier,
        logger: Logger
    ) async throws -> (CloudDaemon, DaemonParts) {
        try await DaemonParts.start { parts in
            let audit = try AuditLog(configuration.process.audit, logger: logger)
            let spans = configuration.process.bootstrapTracing("connectivity-service")
            parts.add {
                audit.record(.serviceStopped, "Connectivity service stopped")
                audit.end()
                spans?.flush()
                logger.info("connectivity service stopped")
            }
            let admin = AdminServers(logger: logger)
            parts.add { await admin.stop() }
            let vault = configuration.store.map { StoreVault(Database($0.address), password: $0.key) }
            let authority = try authority(configuration, vault, audit)
            let certificates = try Certificates(configuration)
            // On a connection of its own: whoever imports a thousand destinations keeps nobody from being enrolled.
            let apiVault = configuration.store.map { StoreVault(Database($0.address), password: $0.key) }
            let (api, apiServer) = try await bindAPI(
                configuration,
                apiVault,
                certificates.api,
                audit,
                logger,
                parts
            )
            let cockpitServer = try await bindCockpit(configuration, certificates.cockpit, parts)
            let service = try await ConnectivityService.start(
                try complete(configuration, authority, api),
                authority: authority ?? NoAuthority(),
                audit: audit,
                logger: logger
            )
            parts.add { try? await service.shutdown() }
            let lease = lease(configuration, service, logger)
            let feed = configuration.store.map { StoreFeed($0.address, logger: logger) }
            let daemon = CloudDaemon(
                configuration,
                service,
                authority,
                feed,
                lease,
                api,
                certificates,
                audit,
                admin,
                notifier,
                logger
            )
            if let feed {
                parts.add { await feed.stop() }
                feed.start { try daemon.storeChanged($0) }
            }
            if let lease {
                parts.add { await lease.stop() }
                lease.start()
                service.tell { JSONLines.encode(await daemon.ownStatus()) }
            }
            try await daemon.serve(apiServer, cockpitServer, configuration)
            audit.record(
                .serviceStarted,
                "Connectivity service \(Version.current) started with \(configuration.file)"
            )
            await admin.apply(configuration.process, nil, daemon.routes)
            return daemon
        }
    }

    private init(
        _ configuration: CloudConfiguration,
        _ service: ConnectivityService,
        _ authority: EnrolmentAuthority?,
        _ feed: StoreFeed?,
        _ lease: ServiceLease?,
        _ api: CloudAPI?,
        _ certificates: Certificates,
        _ audit: AuditLog,
        _ admin: AdminServers,
        _ notifier: SystemdNotifier,
        _ logger: Logger
    ) {
        file = configuration.file
        self.service = service
        self.authority = authority
        self.feed = feed
        self.lease = lease
        self.api = api
        self.certificates = certificates
        self.audit = audit
        self.admin = admin
        self.notifier = notifier
        self.logger = logger
        let loaded = ConfigurationState(file: configuration.file, loadedAt: WallClock.seconds())
        state = Mutex(State(current: configuration, configuration: loaded))
    }

    private static func bindAPI(
        _ configuration: CloudConfiguration,
        _ vault: StoreVault?,
        _ certificate: ListenerCertificate,
        _ audit: AuditLog,
        _ logger: Logger,
        _ parts: DaemonParts
    ) async throws -> (CloudAPI?, HTTPListener?) {
        guard let settings = configuration.api else { return (nil, nil) }
        let listener = try await HTTPListener.bind(
            settings.address,
            as: "api.listen",
            maxConnections: 500,
            tls: { certificate.current },
            trusted: settings.trusted
        )
        parts.add { await listener.stop() }
        let api = try CloudAPI(
            settings,
            vault: vault,
            port: listener.port,
            configuration.service.subaccount,
            audit,
            logger
        )
        return (api, listener)
    }

    private static func bindCockpit(
        _ configuration: CloudConfiguration,
        _ certificate: ListenerCertificate,
        _ parts: DaemonParts
    ) async throws -> HTTPListener? {
        guard let settings = configuration.cockpit else { return nil }
        // Browsers have six each; the fewer, the sooner comes the turn of the right password.
        let listener = try await HTTPListener.bind(
            settings.address,
            as: "cockpit.listen",
            maxConnections: 64,
            tls: { certificate.current },
            trusted: settings.trusted
        )
        parts.add { await listener.stop() }
        return listener
    }

    /// Lets programs and people in: what they ask for is there now.
    private func serve(
        _ apiServer: HTTPListener?,
        _ cockpitServer: HTTPListener?,
        _ configuration: CloudConfiguration
    ) async throws {
        listeners.withLock { $0 = [apiServer, cockpitServer].compactMap { $0 } }
        if service.socksPort > 0 { logger.info("socks started", metadata: ["port": "\(service.socksPort)"]) }
        guard let api, let apiServer else { return }
        api.destinations.checker.connect(service)
        try await apiServer.serve(api.routes)
        logger.info("api started", metadata: ["port": "\(apiServer.port)", "url": "\(api.tokens.url)"])
        guard let cockpitServer, let settings = configuration.cockpit else { return }
        let access = try CockpitAccess(hostNames: settings.hostNames, password: settings.password)
        try await cockpitServer.serve(Cockpit(access, service, api.destinations, logger) { [self] in await status() })
        let host = settings.address.isLocalhost ? "localhost" : settings.address.host
        logger.info(
            "cockpit started",
            metadata: ["url": "\(settings.tls == nil ? "http" : "https")://\(host):\(cockpitServer.port)/"]
        )
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
                let finding = Finding(
                    severity: .error,
                    file: configuration.file,
                    line: 1,
                    column: 1,
                    key: "proxy.authorization",
                    message: "tokens need the section \"api\", which is read at the start only"
                )
                throw ConfigurationError(findings: [finding])
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
        if let peers = service.peers {
            let identity = try authority.issueService(peers.name)
            service.peers?.certificate = identity.certificate
            service.peers?.privateKey = identity.privateKey
            service.peers?.anchor = authority.certificate
        }
        service.tunnelTLS.requiresClientCertificate = true
        service.tunnelTLS.applicationProtocols = TunnelDialect.applicationProtocols + [EnrolmentProtocol.name]
        service.tunnelTLS.anonymousProtocols = [EnrolmentProtocol.name]
        return service
    }

    // MARK: Running

    package var name: String { "connectivity service" }
    package var allEventLoops: [any EventLoop] {
        service.eventLoops + admin.eventLoops + listeners.withLock { $0.flatMap(\.eventLoops) }
    }

    /// The service's own certificate lives a good year; a new one each 90 days is always in time.
    package func housekeeping() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(90 * 86400))
            if !Task.isCancelled { _ = await reload("renewal of the service's certificate") }
        }
    }

    /// One line for `systemctl status`.
    package var summary: String {
        let connectors = service.registry.status(systems: 0)
        let connected = connectors.count { $0.tunnels > 0 }
        var text = "\(connected) connectors, \(connectors.reduce(0) { $0 + $1.tunnels }) tunnels"
        let configuration = state.withLock { $0.configuration }
        if !configuration.lastError.isEmpty { text += "; LAST RELOAD FAILED: \(configuration.lastError[0])" }
        let audit = audit.summary
        if audit.contains("cannot be written") { text += "; audit log \(audit)" }
        return text
    }

    // MARK: Reload

    /// Reads the file again. A broken one, or one that cannot be served, leaves everything as it was.
    package func reload(_ cause: String) async -> AdminMessage.Reload {
        await reloads.run { [self] in
            notifier.reloading()
            defer {
                notifier.ready(summary)
                ProcessMemory.release()
            }
            do {
                let (read, warnings) = try CloudConfigurationReader.load(file)
                let old = state.withLock { $0.current }
                // The others know this service as it was started.
                var new = read
                new.service.peers = old.service.peers
                // Whether there is TLS is a part of the API's URL, so it stays until the next start.
                let isAPISecure = certificates.api.current != nil
                let apiTLS =
                    isAPISecure == (new.api?.tls != nil)
                    ? try certificates.api.prepare(new.api?.tls) : certificates.api.unchanged
                let cockpitTLS = try certificates.cockpit.prepare(new.cockpit?.tls)
                try await service.apply(try Self.complete(new, authority, api))
                certificates.api.apply(apiTLS)
                certificates.cockpit.apply(cockpitTLS)
                // A store that is away is no reason against a configuration; its feed reads again when it is back.
                if let authority {
                    service.cut(serials: (try? await AuthorityThreads.run { try authority.reload() }) ?? [])
                }
                await apply(new, old, arePeersSame: read.service.peers == old.service.peers)
                let problem = AuditReload.apply(new.process.audit, to: audit, cause: cause, logger: logger)
                audit.record(.configurationChanged, "Configuration reloaded [by \(cause)]")
                logger.info("configuration reloaded", metadata: ["by": "\(cause)"])
                return AdminMessage.Reload(isApplied: true, findings: warnings.digest + [problem].compactMap(\.self))
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

    private func apply(_ new: CloudConfiguration, _ old: CloudConfiguration, arePeersSame: Bool) async {
        state.withLock { state in
            state.current = new
            state.configuration.loadedAt = WallClock.seconds()
            state.configuration.reloads += 1
            state.configuration.lastError = []
        }
        if new.process.logLevel != old.process.logLevel { LogLevelSwitch.level = new.process.logLevel ?? .info }
        await admin.apply(new.process, old.process, routes)
        let needsStart =
            new.process.traceFile != old.process.traceFile
            || new.process.logFormat != old.process.logFormat
            || new.enrolment?.atStart != old.enrolment?.atStart || new.store != old.store || !arePeersSame
            || new.api?.withoutTLS != old.api?.withoutTLS
            || new.cockpit?.withoutTLS != old.cockpit?.withoutTLS
            || new.service.eventLoops != old.service.eventLoops
        if needsStart {
            logger.warning(
                "tracing, store, peers, enrolment, api, cockpit, log.format and event-loops take effect at the next start"
            )
        }
    }
}
